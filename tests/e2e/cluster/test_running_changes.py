"""`suspend` and `replicas` may change while a job runs: its pods follow, and its tasks are done once."""

from __future__ import annotations

import json

import pytest

from support.cluster_documents import PAGES, Documents, text_of, words_of
from support.cluster_kubemr import Job, Kubemr, until, word_count

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def running(job: Job) -> int:
    """How many of its pods do."""
    return sum(pod["status"].get("phase") == "Running" for pod in job.children("pods"))


def test_suspend_resume_and_scale(
    kubemr: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str
) -> None:
    """Suspended there is no pod, and the job is neither complete nor failed; resumed, more workers do it, or fewer."""
    inputs = documents.urls(gate=cluster_namespace)
    job = kubemr.submit(cluster_namespace, word_count("changes", wordcount_image, inputs, replicas=1))
    until(lambda: running(job) == 1, "the worker runs", 60)

    def suspend(value: bool) -> None:
        """What `kubectl edit` would do."""
        job.kubectl("patch", "mrj", job.name, "--type=merge", "-p", json.dumps({"spec": {"suspend": value}}))

    suspend(True)
    job.wait("Suspended", 60)
    until(lambda: not job.children("pods"), "there are no pods", 60)
    assert job.get()["status"]["phase"] == "DEPLOYED"
    job.kubectl("scale", "mrj", job.name, "--replicas=3")
    suspend(False)
    job.until("condition=Suspended=false")
    until(lambda: running(job) == 3, "three workers run", 60)
    assert job.get()["status"]["replicas"] == 3
    job.kubectl("scale", "mrj", job.name, "--replicas=2")
    until(lambda: len(job.children("pods")) == 2, "the third one is gone", 60)
    job.until("jsonpath={.status.replicas}=2")
    documents.open_gate(cluster_namespace)
    job.wait()
    assert job.words() == words_of(*map(text_of, PAGES))
    job.delete()
