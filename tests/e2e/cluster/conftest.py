"""kubemr on the cluster, deployed once for all tests that use it; and the documents that their jobs read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.cluster_access import ClusterAccess, S3Access
from support.cluster_documents import Documents, served
from support.cluster_kubemr import Kubemr
from support.cluster_node import Node


@pytest.fixture(scope="session")
def installation(cluster: ClusterAccess, cluster_s3: S3Access, operator_image: str) -> Iterator[Kubemr]:
    """For `kubemr`: deployed when the first test needs it, and taken off again at the end."""
    kubemr = Kubemr(cluster, cluster_s3, operator_image)
    try:
        yield kubemr
    finally:
        kubemr.undeploy()


@pytest.fixture
def kubemr(installation: Kubemr) -> Kubemr:
    """Installed, with two operators that are ready."""
    installation.deploy()
    return installation


@pytest.fixture(scope="session")
def documents(
    cluster: ClusterAccess, worker_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Documents]:
    """Three documents for jobs to read."""
    with served(cluster, worker_image, tmp_path_factory.mktemp("site")) as server:
        yield server


@pytest.fixture(scope="module")
def second_node(breakable_cluster: Cluster, worker_image: str, wordcount_image: str) -> Iterator[Node]:
    """A second node, which has the images of the first; it may be lost, and is gone after the module."""
    del worker_image, wordcount_image  # loaded by now, so they are copied
    node = breakable_cluster.add_node()
    try:
        yield node
    finally:
        breakable_cluster.remove_node(node)
