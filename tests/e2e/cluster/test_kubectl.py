"""What kubectl shows of a job, and waits for."""

from __future__ import annotations

import pytest

from support.cluster_documents import Documents
from support.cluster_kubemr import Kubemr, word_count

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def test_get_describe_and_wait(
    kubemr: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str
) -> None:
    """Columns and Events while it runs, and when it is complete."""
    inputs = documents.urls(gate=cluster_namespace)
    job = kubemr.submit(cluster_namespace, word_count("shown", wordcount_image, inputs))
    job.wait("Deployed")
    heads, row = (line.split() for line in job.kubectl("get", "mrj").splitlines())
    assert heads == ["NAME", "PHASE", "STAGE", "PROGRESS", "REPLICAS", "AGE"]
    assert row[:5] == ["shown", "DEPLOYED", "map", "0/7", "2"]
    documents.open_gate(cluster_namespace)
    job.kubectl("wait", "--for=condition=Complete", "mrj/shown", "--timeout=60s")
    (row,) = (line.split() for line in job.kubectl("get", "mrj", "--no-headers").splitlines())
    assert (row[1], row[3]) == ("COMPLETE", "7/7")
    heads, row = (line.split() for line in job.kubectl("get", "mrj", "-o", "wide").splitlines())
    assert (heads[-2:], row[-1]) == (["ERROR", "RESULTS"], str(len(job.results())))
    job.until("jsonpath={.status.phase}=COMPLETE")
    told = job.kubectl("describe", "mrj", "shown").partition("\nEvents:")[2]
    reasons = [line.split()[1] for line in told.splitlines() if line.split()[:1] == ["Normal"]]
    assert reasons.count("Accepted") == reasons.count("Deploying") == reasons.count("Deployed") == 1, told
    job.delete()
