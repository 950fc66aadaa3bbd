"""`make deploy` and `make undeploy`: what the one brings the other takes away, with all that jobs have stored."""

from __future__ import annotations

import pytest

from kubemr.coordination import names
from support.cluster_access import ClusterAccess
from support.cluster_documents import Documents
from support.cluster_inventory import stored
from support.cluster_kubemr import Kubemr, manage, word_count

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def test_two_operators_are_ready_and_workers_have_accounts_of_their_own(
    cluster: ClusterAccess, kubemr: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str
) -> None:
    """With the real accounts and the policies on."""
    pods = kubemr.pods()
    conditions = [each for pod in pods for each in pod["status"]["conditions"]]
    assert sum(each["type"] == "Ready" and each["status"] == "True" for each in conditions) == 2
    inputs = documents.urls(gate=cluster_namespace)
    job = kubemr.submit(cluster_namespace, word_count("words", wordcount_image, inputs))
    job.until("jsonpath={.status.phase}=DEPLOYED")
    (workers,) = job.children("jobs.batch")
    account = workers["spec"]["template"]["spec"]["serviceAccountName"]
    assert account == names.account(job.view.base)
    documents.open_gate(cluster_namespace)
    job.wait()
    job.delete()
    accounts = cluster.get("serviceaccounts", "-n", cluster_namespace)["items"]
    assert [each["metadata"]["name"] for each in accounts] == ["default"]


def test_undeploy_with_purge_leaves_nothing(
    cluster: ClusterAccess, kubemr: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str
) -> None:
    """It refuses while there are jobs, which it names; with PURGE=1 it deletes them, and then what was deployed."""
    done = kubemr.submit(cluster_namespace, word_count("done", wordcount_image, documents.urls()))
    held = documents.urls(gate=cluster_namespace)
    runs = kubemr.submit(cluster_namespace, word_count("runs", wordcount_image, held))
    done.wait()
    runs.until("jsonpath={.status.phase}=DEPLOYED")
    refused = manage(cluster, "undeploy")
    assert refused.returncode != 0
    assert all(f"{cluster_namespace} " in refused.stderr and job.name in refused.stderr for job in (done, runs))
    assert stored(kubemr.store, kubemr.bucket)
    assert runs.get()["status"]["phase"] == "DEPLOYED"
    kubemr.undeploy()
    assert cluster.get("pods,jobs.batch,leases,secrets", "-n", cluster_namespace)["items"] == []
