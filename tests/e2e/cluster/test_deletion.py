"""A job may be deleted at any time: nothing of it stays in any namespace, nor in the bucket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.cluster_access import ClusterAccess
from support.cluster_documents import Documents
from support.cluster_inventory import until_nothing
from support.cluster_kubemr import Job, Kubemr, jobs_of, word_count
from support.cluster_watch import Change, Watch

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

MOMENTS = ("new", "PENDING", "DEPLOYING", "DEPLOYED", "running", "reduce", "COMPLETE", "FAIL")


def moment(change: Change) -> set[str]:
    """Which of `MOMENTS` it is."""
    status = change.object.get("status") or {}
    running = any(stage.get("running") for stage in status.get("stages") or [])
    return {status.get("phase", "new"), status.get("stage", ""), "running" if running else ""}


def test_a_job_deleted_in_any_phase_leaves_nothing(
    cluster: ClusterAccess, kubemr: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str
) -> None:
    """One job for each moment of a job's life, deleted as soon as a watch shows that moment."""

    def delete_at(which: str) -> Job:
        """Submit a job, and delete it then."""
        held = which in ("DEPLOYED", "running")
        inputs = documents.urls(gate=cluster_namespace if held else "")
        spec = {"maxAttempts": 1} if which == "FAIL" else {}
        if which == "FAIL":
            inputs = [documents.url("rfc2425.txt"), documents.url("rfc2425.txt") + ".none"]
        job = kubemr.submit(cluster_namespace, word_count(f"at-{which.lower()}", wordcount_image, inputs, **spec))
        if which != "new":
            watch.wait(
                lambda seen: any(which in moment(each) for each in seen if job.is_in(each.object)),
                f"{job.name} is {which}",
                120,
            )
        job.kubectl("delete", "mrj", job.name, "--wait=false")
        return job

    with Watch(cluster, jobs_of(cluster_namespace)) as watch, ThreadPoolExecutor(len(MOMENTS)) as threads:
        jobs = list(threads.map(delete_at, MOMENTS))
        watch.wait(
            lambda seen: (
                {each.object["metadata"]["uid"] for each in seen if each.type == "DELETED"}
                >= {job.view.uid for job in jobs}
            ),
            "all are deleted",
            120,
        )
    for job in jobs:
        until_nothing(job.left)
