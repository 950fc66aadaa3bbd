"""What a worker that has gone astray can do with its pod's own token: its own work, and nothing else.

`tests/e2e/test_rights.py` and `test_rights_tasks.py` have every rule, and `test_rights_used.py` that no right is
granted in vain; here are the accounts of pods that run, as the operator and `make deploy` make them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kubemr.coordination import names
from kubemr.coordination.kinds import SERVICE_ACCOUNTS
from kubemr.locks.effects import Resource
from kubemr.locks.lease import LEASES
from kubemr.tasks import encoding
from kubemr.tasks.shard import SHARDS
from support.accounts import CONFINED, confined, rendered, workers_rights
from support.audit import granted
from support.cluster_access import ClusterAccess
from support.cluster_documents import Documents, text_of, words_of
from support.cluster_kubemr import NAMESPACE, Job, Kubemr, until, word_count
from support.cluster_requests import Question, Reply, ask

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

PODS = Resource("", "v1", "pods")
SECRETS = Resource("", "v1", "secrets")
REVIEW = Resource("authorization.k8s.io", "v1", "selfsubjectrulesreviews", namespaced=False)


def review(namespace: str) -> Question:
    """`kubectl auth can-i --list`."""
    return Question("POST", REVIEW.path(), {"spec": {"namespace": namespace}})


def can(reply: Reply) -> CONFINED:
    """What it says."""
    assert not reply.body["status"]["incomplete"], reply.body
    return confined(reply.body["status"]["resourceRules"])


def tasks(job: Job) -> dict[int, tuple[str, str]]:
    """The state of each map task, and the path of its shard."""
    found = job.children("mrts")
    path = {each["metadata"]["name"]: SHARDS.path(job.namespace, each["metadata"]["name"]) for each in found}
    return {
        number: (state, path[each["metadata"]["name"]])
        for each in found
        if "-map-" in each["metadata"]["name"]
        for number, state in encoding.texts(each["tasks"]).items()
    }


def change(job: Job, number: int, state: str) -> Question:
    """Put a task that has an entry of its own into another state, under no test."""
    return Question("PATCH", tasks(job)[number][1], [{"op": "replace", "path": f"/tasks/{number}", "value": state}])


def pod_of(job: Job, index: int) -> str:
    """The pod of a worker."""
    label = "batch.kubernetes.io/job-completion-index"
    pods = [each["metadata"] for each in job.children("pods")]
    (name,) = [str(each["name"]) for each in pods if each["labels"][label] == str(index)]
    return name


def test_a_worker_that_has_gone_astray(
    cluster: ClusterAccess, kubemr: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str
) -> None:
    """Another job's shards, illegal changes, secrets, pods: refused, and both jobs come to their right ends."""
    inputs = [documents.url("rfc4501.txt"), documents.url("rfc2017.txt", gate=cluster_namespace)]
    jobs = [kubemr.submit(cluster_namespace, word_count(name, wordcount_image, inputs)) for name in ("own", "other")]
    own, other = jobs
    for job in jobs:
        until(lambda job=job: tasks(job) and tasks(job)[0][0].startswith("done/"), f"{job.name}: one is done", 60)
        until(lambda job=job: tasks(job)[1][0].startswith("running/"), f"{job.name}: one is held", 60)
    done, held = (tasks(own)[number][0] for number in (0, 1))
    assert held.startswith("running/1/0/0/")
    by_policy = {
        "own job": change(other, 1, "pending/2/0/1/"),
        "final": change(own, 0, done.replace("done/", "pending/").rpartition("/")[0] + "/"),
        "epoch": change(own, 1, "pending/1/0/1/"),
        "holders": change(own, 1, "running/1/0/0/w9-aaaaaa"),
    }
    pod = {"metadata": {"name": "mine"}, "spec": {"containers": [{"name": "main", "image": wordcount_image}]}}
    lent = names.secret(own.view.base)
    assert lent in [each["metadata"]["name"] for each in own.children("secrets")]
    by_rbac = [
        Question("GET", SECRETS.path(cluster_namespace)),
        Question("GET", SECRETS.path(cluster_namespace, lent)),
        Question("GET", SECRETS.path(cluster_namespace, names.secret(other.view.base))),
        Question("GET", SECRETS.path(NAMESPACE, "kubemr-storage")),
        Question("POST", PODS.path(cluster_namespace), pod),
        Question("POST", f"{SERVICE_ACCOUNTS.path(NAMESPACE, 'kubemr-operator')}/token", {"spec": {}}),
        Question("GET", LEASES.path(cluster_namespace, names.lease(other.view.base, 0))),
        Question("GET", names.JOBS.path(cluster_namespace, other.name)),
        Question("DELETE", names.JOBS.path(cluster_namespace, own.name)),
    ]
    allowed = [
        Question("GET", names.JOBS.path(cluster_namespace, own.name)),
        Question("GET", SHARDS.path(cluster_namespace)),
    ]
    reviews = [review(namespace) for namespace in (cluster_namespace, NAMESPACE, "default")]
    questions = [*allowed, *by_policy.values(), *by_rbac, *reviews]
    replies = iter(ask(cluster, cluster_namespace, pod_of(own, 0), questions))
    for _ in allowed:
        assert next(replies).status == 200
    for rule in by_policy:
        reply = next(replies)
        assert reply.status == 422, (rule, reply)
        assert f'rule "{rule}"' in reply.message
    for question in by_rbac:
        reply = next(replies)
        assert (reply.status, reply.body["reason"]) == (403, "Forbidden"), (question, reply)
        assert f'User "system:serviceaccount:{cluster_namespace}:{names.account(own.view.base)}"' in reply.message
    assert [can(reply) for reply in replies] == [workers_rights(own.view), set(), set()]

    documents.open_gate(cluster_namespace)
    for job in jobs:
        job.wait()
        assert job.words() == words_of(text_of("rfc4501.txt"), text_of("rfc2017.txt"))
        job.delete()


def test_what_an_operator_can_is_what_the_manifests_say(
    cluster: ClusterAccess, kubemr: Kubemr, cluster_namespace: str
) -> None:
    """In a namespace of somebody's, and in its own."""
    operator = kubemr.pods()[0]["metadata"]["name"]
    elsewhere, at_home = ask(cluster, NAMESPACE, operator, [review(cluster_namespace), review(NAMESPACE)])
    documents: list[Any] = list(yaml.safe_load_all(rendered(Path(cluster.kubectl_program))))
    (everywhere,) = [granted(each["rules"]) for each in documents if each["kind"] == "ClusterRole"]
    assert can(elsewhere) == {(right, ()) for right in everywhere}
    assert can(at_home) == {*can(elsewhere), (("patch", "configmaps"), ("kubemr-unswept",))}
