"""There is no master: a job that is deployed needs no operator to run to its end."""

from __future__ import annotations

import pytest

from support.cluster_documents import PAGES, Documents, text_of, words_of
from support.cluster_kubemr import Kubemr, word_count

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def test_a_deployed_job_completes_without_operators(
    kubemr: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str
) -> None:
    """They are scaled to 0 when it is DEPLOYED and no input can be read yet; when they are back they clean up."""
    inputs = documents.urls(gate=cluster_namespace)
    job = kubemr.submit(cluster_namespace, word_count("alone", wordcount_image, inputs))
    job.until("jsonpath={.status.phase}=DEPLOYED")
    with kubemr.operators(0):
        assert kubemr.pods() == []
        assert job.get()["status"]["phase"] == "DEPLOYED"
        documents.open_gate(cluster_namespace)
        status = job.wait()["status"]
        assert (status["phase"], status["progress"]) == ("COMPLETE", "7/7")
        assert job.words() == words_of(*map(text_of, PAGES))
        assert kubemr.pods() == []
    job.delete()
