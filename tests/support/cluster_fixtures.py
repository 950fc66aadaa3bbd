"""The fixture `cluster`: a real Kubernetes with nodes.  `tests/conftest.py` imports it.

Which one: the one that `KUBEMR_E2E_KUBECONFIG` names; else the one that `make cluster` has started; else one of the
session's own, ended with it.  Tests that use it carry the marker `cluster` and run with `--cluster` only (`make e2e`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from support.cluster import AlreadyRunningError, Cluster, description, work_folder
from support.cluster_access import ClusterAccess, S3Access
from support.cluster_images import PREFIX, archive
from support.cluster_machine import missing
from support.cluster_node import NodeProcesses
from support.left_out import leave_out

__all__ = [
    "cluster",
    "cluster_namespace",
    "cluster_node",
    "cluster_s3",
    "operator_image",
    "wordcount_image",
    "worker_image",
]

REMEDY = "run `make e2e` as root, or set KUBEMR_E2E_KUBECONFIG (docs/cluster-tests.md)"


def add_option(group: pytest.OptionGroup) -> None:
    """The option that lets the tests marked `cluster` run."""
    group.addoption("--cluster", action="store_true", help="run the tests that need a whole cluster, too")


def arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the tests marked `cluster` out, unless asked for; run those first that want a machine without a cluster."""
    if not config.getoption("--cluster"):
        out = [item for item in items if item.get_closest_marker("cluster")]
        if out:
            config.hook.pytest_deselected(items=out)
            items[:] = [item for item in items if not item.get_closest_marker("cluster")]
    items.sort(key=lambda item: "no_cluster" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def cluster() -> Iterator[ClusterAccess]:
    """`.kubectl(…)`, `.get(…)`, `.apply(…)`, `.load_image(archive)`, `.kubeconfig`; use a `cluster_namespace`."""
    given = ClusterAccess.from_environment()
    if given is not None:
        yield given
        return
    if description(work_folder()).exists():
        try:
            own = Cluster()  # what is described may have ended uncleanly
        except AlreadyRunningError:
            yield ClusterAccess.load(description(work_folder()))
            return
    else:
        if lacks := missing():
            leave_out("a cluster", f"{REMEDY}; this machine lacks " + "; ".join(lacks))
        own = Cluster()
    try:
        yield own.access
    finally:
        own.stop()


@pytest.fixture(scope="session")
def cluster_s3(cluster: ClusterAccess) -> S3Access:
    """The S3 server of `cluster`."""
    if cluster.s3 is None:
        leave_out("an S3 server that the cluster's pods reach", "set KUBEMR_E2E_S3_ENDPOINT (docs/cluster-tests.md)")
    return cluster.s3


@pytest.fixture(scope="session")
def cluster_node(cluster: ClusterAccess) -> NodeProcesses:
    """The node of a cluster of ours, for tests that stop or kill its programs."""
    if cluster.node is None:
        leave_out("a node whose programs may be killed", "unset KUBEMR_E2E_KUBECONFIG")
    return cluster.node


def _image(cluster: ClusterAccess, name: str) -> str:
    if cluster.loads_images:  # where not, whoever owns the cluster has seen to that
        if not archive(name).exists():
            leave_out(f"the image {name}", "run `make images`")
        cluster.load_image(archive(name))
    return f"{PREFIX}/{name}"


@pytest.fixture(scope="session")
def operator_image(cluster: ClusterAccess) -> str:
    """The name by which pods of `cluster` get the operator's image; it is there."""
    return _image(cluster, "operator")


@pytest.fixture(scope="session")
def worker_image(cluster: ClusterAccess) -> str:
    """The image that workers are built on: Python, kubemr, and what its workers need."""
    return _image(cluster, "worker")


@pytest.fixture(scope="session")
def wordcount_image(cluster: ClusterAccess) -> str:
    """The image of examples/wordcount."""
    return _image(cluster, "wordcount")


@pytest.fixture
def cluster_namespace(cluster: ClusterAccess) -> Iterator[str]:
    """A fresh namespace on `cluster`, deleted (without waiting) when the test has ended."""
    name = f"e2e-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")
