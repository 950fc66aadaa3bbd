"""What becomes of a job that is over, or whose time is up: deadlines, expiry, and what is kept in storage."""

from __future__ import annotations

import pytest

from support.cluster_documents import Documents
from support.cluster_inventory import until_nothing
from support.cluster_kubemr import Job, Kubemr, until, word_count

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def test_deadlines_expiry_and_retention(
    kubemr: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str
) -> None:
    """Five jobs at once, since most of the time nothing but waiting is done."""

    def submit(name: str, *, gate: str = "", policy: str = "Results", **spec: int) -> Job:
        """A job that keeps what `policy` says."""
        storage = {"retentionPolicy": policy}
        manifest = word_count(name, wordcount_image, documents.urls(gate=gate), storage=storage, **spec)
        return kubemr.submit(cluster_namespace, manifest)

    late = submit("late", gate=cluster_namespace, activeDeadlineSeconds=5)
    expires = submit("expires", ttlSecondsAfterFinished=5)
    kept = {policy: submit(policy.lower(), policy=policy) for policy in ("None", "Results", "All")}

    status = late.wait("Failed", 60)["status"]
    assert status["phase"] == "FAIL"
    assert status["error"] == "spec.activeDeadlineSeconds: the job ran for longer than 5 seconds"

    expires.kubectl("wait", f"mrj/{expires.name}", "--for=delete", "--timeout=120s")
    until_nothing(expires.left)

    for policy, job in kept.items():
        job.wait()
        until(lambda job=job: not job.children("configmaps"), f"{policy}: it is cleaned up", 60)
        stages = {key.split("/")[3] for key in job.left() if key.startswith("kubemr/") and "/0/" in key}
        assert stages == {"None": set(), "Results": {"reduce"}, "All": {"map", "reduce"}}[policy]
    for job in (late, *kept.values()):
        job.delete()
