"""The first kubemr's manifest, unchanged to the byte: from `kubectl create` to results in S3."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from support.cluster_access import ClusterAccess
from support.cluster_documents import PAGES, SITE, Documents, text_of, words_of
from support.cluster_kubemr import Kubemr, jobs_of
from support.cluster_node import NodeProcesses
from support.cluster_policy import stand_in
from support.cluster_watch import Watch, phases
from support.jobs import SEED

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

THREE_INPUTS = SEED + "    - https://tools.ietf.org/rfc/rfc2425.txt\n"
"""As it was in the first kubemr's README."""


@pytest.fixture
def manifests_as_they_are(cluster: ClusterAccess, cluster_namespace: str, documents: Documents) -> Iterator[str]:
    """A namespace whose pods reach the seed's inputs, at their own addresses by https, at our server.

    The administrator's policy has pods find tools.ietf.org at the server's address, trust the authority that certified
    it, and use the images that are on the node; what the user submits stays as it is.
    """
    with stand_in(cluster, cluster_namespace, SITE, documents.address, documents.ca):
        yield cluster_namespace


def test_the_seed_with_the_python_image(
    cluster: ClusterAccess,
    cluster_node: NodeProcesses,
    kubemr: Kubemr,
    manifests_as_they_are: str,
    wordcount_image: str,
) -> None:
    """PENDING, DEPLOYING, DEPLOYED, COMPLETE, each once and in this order; and the words are counted as Unix does."""
    cluster_node.name_image(f"{wordcount_image}:latest", "docker.io/turbobytes/kubemr-wordcount:latest")
    namespace = manifests_as_they_are
    with Watch(cluster, jobs_of(namespace)) as watch:
        job = kubemr.submit(namespace, THREE_INPUTS)
        assert job.name.startswith("test-")
        job.wait()
        watch.wait(lambda seen: "COMPLETE" in phases(seen, job.view.uid), "COMPLETE", 5)
        assert phases(watch.changes, job.view.uid) == ["", "PENDING", "DEPLOYING", "DEPLOYED", "COMPLETE"]
    results = job.results()
    assert results
    numbers = [re.fullmatch(rf"s3://{kubemr.bucket}/kubemr/{job.name}-.*/reduce/(\d+)/.+", each) for each in results]
    assert all(numbers), results
    assert job.words() == words_of(*map(text_of, PAGES))
    job.delete()
