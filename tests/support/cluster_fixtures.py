"""The fixture `cluster`: a real Kubernetes with nodes.  `tests/conftest.py` imports it.

Which one: the one that `KUBEMR_E2E_KUBECONFIG` names; else the one that `make cluster` has started; else one of the
session's own, ended with it.  Tests that use it carry the marker `cluster` and run with `--cluster` only (`make e2e`).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from support.cluster import Cluster, description, unless_running, work_folder
from support.cluster_access import ClusterAccess, S3Access
from support.cluster_images import PREFIX, archive
from support.cluster_machine import missing
from support.cluster_node import NodeProcesses
from support.cluster_site import VARIABLE
from support.left_out import leave_out

__all__ = [
    "breakable_cluster",
    "cluster",
    "cluster_namespace",
    "cluster_node",
    "cluster_s3",
    "operator_image",
    "own_cluster",
    "wordcount_go_image",
    "wordcount_image",
    "worker_image",
]

REMEDY = "run `make e2e` as root, or set KUBEMR_E2E_KUBECONFIG (docs/cluster-tests.md)"


def add_option(group: pytest.OptionGroup) -> None:
    """The option that lets the tests marked `cluster` run."""
    group.addoption("--cluster", action="store_true", help="run the tests that need a whole cluster, too")
    group.addoption("--fault-rounds", type=int, default=1, metavar="N", help="how often each fault strikes a job")
    group.addoption("--fault-seed", type=int, default=1, metavar="N", help="the seed of the first round")


def arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the tests marked `cluster` out, unless asked for; run those first that want a machine without a cluster."""
    if not config.getoption("--cluster"):
        out = [item for item in items if item.get_closest_marker("cluster")]
        if out:
            config.hook.pytest_deselected(items=out)
            items[:] = [item for item in items if not item.get_closest_marker("cluster")]
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """First what wants a machine without a cluster, last what breaks the cluster."""
    fixtures = getattr(item, "fixturenames", ())
    return 0 if "no_cluster" in fixtures else 2 if "breakable_cluster" in fixtures else 1


@pytest.fixture(scope="session")
def own_cluster() -> Iterator[Cluster | None]:
    """The cluster that this session holds, when it uses no other."""
    if os.environ.get("KUBEMR_E2E_KUBECONFIG"):
        yield None
        return
    if not description(work_folder()).exists() and (lacks := missing()):
        leave_out("a cluster", f"{REMEDY}; this machine lacks " + "; ".join(lacks))
    with unless_running() as own:
        yield own


@pytest.fixture(scope="session")
def cluster(own_cluster: Cluster | None) -> ClusterAccess:
    """`.kubectl(…)`, `.get(…)`, `.apply(…)`, `.load_image(archive)`, `.kubeconfig`; use a `cluster_namespace`."""
    if own_cluster is not None:
        return own_cluster.access
    return ClusterAccess.from_environment() or ClusterAccess.load(description(work_folder()))


@pytest.fixture(scope="session")
def breakable_cluster(own_cluster: Cluster | None) -> Cluster:
    """The session's own cluster, for tests that kill its control plane or lose a node."""
    if own_cluster is None:
        leave_out("a cluster that may be broken", f"unset KUBEMR_E2E_KUBECONFIG, and name a free cluster: {VARIABLE}=3")
    return own_cluster


@pytest.fixture(scope="session")
def cluster_s3(cluster: ClusterAccess) -> S3Access:
    """The S3 server of `cluster`."""
    if cluster.s3 is None:
        leave_out("an S3 server that the cluster's pods reach", "set KUBEMR_E2E_S3_ENDPOINT (docs/cluster-tests.md)")
    return cluster.s3


@pytest.fixture(scope="session")
def cluster_node(cluster: ClusterAccess) -> NodeProcesses:
    """The first node of a cluster of ours, for tests that stop or kill its programs."""
    if not cluster.nodes:
        leave_out("a node whose programs may be killed", "unset KUBEMR_E2E_KUBECONFIG")
    return next(iter(cluster.nodes.values()))


def _image(cluster: ClusterAccess, name: str) -> str:
    if cluster.loads_images:  # where not, whoever owns the cluster has seen to that
        if not archive(name).exists():
            leave_out(f"the image {name}", "run `make images`" + ", which needs Go" * name.endswith("-go"))
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


@pytest.fixture(scope="session")
def wordcount_go_image(cluster: ClusterAccess) -> str:
    """The image of examples/wordcount-go."""
    return _image(cluster, "wordcount-go")


@pytest.fixture
def cluster_namespace(cluster: ClusterAccess) -> Iterator[str]:
    """A fresh namespace on `cluster`, deleted (without waiting) when the test has ended."""
    name = f"e2e-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")
