"""The Kubernetes Job looks to schedulers and queues as the user's labels and annotations say; a queue may hold it back.

Kueue itself is not here.  What it does to a Job of its queues is: a webhook suspends the Job as it is created; when
there is room, Kueue resumes it with a node selector in its template; and it suspends it again to evict it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.cluster_access import ClusterAccess
from support.cluster_documents import PAGES, Documents, text_of, words_of
from support.cluster_kubemr import Job, Kubemr, until, word_count
from support.cluster_policy import mutating, patch

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

QUEUE = "kueue.x-k8s.io/queue-name"
LABELS = {QUEUE: "team-a", "example.org/team": "a"}
ANNOTATIONS = {"example.org/ticket": "K-17"}
FLAVOUR = {"kubernetes.io/os": "linux"}
"""The nodes that the queue has room on."""


@pytest.fixture
def queue(cluster: ClusterAccess, cluster_namespace: str) -> Iterator[None]:
    """Jobs with a queue's name are suspended as they are created."""
    match = f"'{QUEUE}' in object.metadata.?labels.orValue({{}})"
    suspended = f"[{patch('add', '/spec/suspend', True)}]"
    resource = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    probe = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "probe", "labels": LABELS},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}}},
    }
    with mutating(
        cluster, cluster_namespace, resource, match, suspended, probe, lambda made: bool(made["spec"].get("suspend"))
    ):
        yield


def workers_of(job: Job) -> Any:
    """Its Kubernetes Job, of which there is one."""
    (found,) = job.children("jobs.batch")
    return found


def change(job: Job, spec: Any) -> None:
    """What the queue does to the Kubernetes Job, under a name of its own."""
    name = workers_of(job)["metadata"]["name"]
    body = json.dumps({"spec": spec})
    job.kubectl("patch", "job.batch", name, "--type=strategic", "--field-manager=kueue", "-p", body)


def suspension(job: Job) -> tuple[str, str]:
    """State and reason of the condition `Suspended`."""
    conditions = job.get()["status"]["conditions"]
    return next(((each["status"], each["reason"]) for each in conditions if each["type"] == "Suspended"), ("", ""))


@pytest.mark.usefixtures("queue")
def test_a_job_that_a_queue_holds_back_is_neither_stuck_nor_failed(
    kubemr: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str
) -> None:
    """It waits, begins, is evicted while it works, and is complete when it may go on."""
    inputs = documents.urls(gate=cluster_namespace)
    manifest = word_count("queued", wordcount_image, inputs)
    manifest["metadata"] |= {"labels": LABELS, "annotations": ANNOTATIONS}
    job = kubemr.submit(cluster_namespace, manifest)
    until(lambda: suspension(job) == ("True", "SuspendedExternally"), "it is said who suspended it", 60)
    made = workers_of(job)
    assert LABELS.items() <= made["metadata"]["labels"].items()
    assert ANNOTATIONS.items() <= made["metadata"]["annotations"].items()

    change(job, {"suspend": False, "template": {"spec": {"nodeSelector": FLAVOUR}}})
    until(lambda: len(job.children("pods")) == 2, "there are pods", 60)
    for pod in job.children("pods"):
        assert pod["spec"]["nodeSelector"] == FLAVOUR
        assert ANNOTATIONS.items() <= pod["metadata"]["annotations"].items()
        assert pod["metadata"]["labels"]["example.org/team"] == "a"
        assert QUEUE not in pod["metadata"]["labels"]  # or the pod would be queued, too
    until(lambda: suspension(job) == ("False", "Resumed"), "it is said that it goes on", 60)
    until(lambda: job.workers() == 2, "both workers work", 60)

    change(job, {"suspend": True})
    until(lambda: suspension(job) == ("True", "SuspendedExternally"), "it is said that it was evicted", 60)
    until(lambda: not job.children("pods"), "its pods are gone", 60)
    assert workers_of(job)["spec"]["suspend"] is True
    status = job.get()["status"]
    assert (status["phase"], "error" in status) == ("DEPLOYED", False)

    change(job, {"suspend": False})
    documents.open_gate(cluster_namespace)
    job.wait()
    assert job.words() == words_of(*map(text_of, PAGES))
    job.delete()
