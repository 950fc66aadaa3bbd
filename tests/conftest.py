"""Options and fixtures that every test may use.

The servers are started once per session, when the first test asks for one, and ended in reverse order.  They are real;
a test that needs one which is not built here is left out by name (see `support.left_out`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from support import cluster_fixtures, measured
from support.binaries import ETCD, KUBE, MINIO
from support.cluster_fixtures import (
    breakable_cluster,
    cluster,
    cluster_namespace,
    cluster_node,
    cluster_s3,
    operator_image,
    own_cluster,
    wordcount_go_image,
    wordcount_image,
    worker_image,
)
from support.controlplane import ApiServer, ControllerManager, ControlPlane
from support.left_out import require, summarize
from support.minioserver import MinioServer
from support.scheduling import Scheduling

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

# No test fails because the machine is slow at a moment.
hypothesis.settings.register_profile("kubemr", deadline=None)
hypothesis.settings.load_profile("kubemr")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this test suite."""
    group = parser.getgroup("kubemr")
    group.addoption(
        "--seeds", type=int, default=40, metavar="N", help="how many seeds the simulation runs (default 40)"
    )
    group.addoption("--first-seed", type=int, default=0, metavar="N", help="the first of them (default 0)")
    group.addoption("--seed-processes", type=int, default=0, metavar="N", help="processes that run them (this one)")
    group.addoption(
        "--operations", type=int, default=4000, metavar="N", help="how many the contest of linearizability has (4000)"
    )
    group.addoption("--contest-seed", default="0", metavar="SEED", help="what its kills and contenders are drawn by")
    cluster_fixtures.add_option(group)


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers of this test suite, and keep coverage in the processes that run it."""
    config.addinivalue_line("markers", "cluster: needs a whole cluster; deselected without --cluster")
    config.addinivalue_line("markers", "long: takes long; `make test-long` runs it, and `make test` does not")
    config.addinivalue_line("markers", "soak: takes hours or gigabytes; deselected unless -m names it (`make soak`)")
    measured.spare_children(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to `make e2e` what needs a whole cluster, and to `make soak` what takes hours."""
    cluster_fixtures.arrange(config, items)
    soak = [item for item in items if item.get_closest_marker("soak")]
    if soak and "soak" not in config.getoption("markexpr"):
        config.hook.pytest_deselected(items=soak)
        items[:] = [item for item in items if not item.get_closest_marker("soak")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out."""
    summarize(terminalreporter)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Decide what the processes of `make test` run."""
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="module", autouse=True)
def _measured(request: pytest.FixtureRequest) -> Iterator[None]:
    with measured.only_in_its_folders(request.path):
        yield


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real etcd and kube-apiserver, shared by all tests of the session."""
    require(ETCD, KUBE)
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    try:
        yield plane
    finally:
        plane.stop()


@pytest.fixture(scope="session")
def apiserver(control_plane: ControlPlane) -> ApiServer:
    """The real kube-apiserver: `.url`, `.ca_file`, `.token`, `.kubeconfig`, `.request()`.  Use your own `namespace`."""
    return control_plane.apiserver


@pytest.fixture(scope="session")
def controller_manager(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControllerManager]:
    """The real controllers on `apiserver` (garbage collection, namespaces, Jobs), from here to the session's end."""
    manager = ControllerManager(tmp_path_factory.mktemp("controller-manager"), apiserver)
    try:
        yield manager
    finally:
        manager.stop()


@pytest.fixture
def namespace(apiserver: ApiServer) -> str:
    """The name of a fresh, empty namespace on `apiserver`.  It stays: without controllers nothing ends a namespace."""
    return apiserver.create_namespace()


@pytest.fixture(scope="session")
def kubectl() -> Path:
    """The real kubectl; give it `--kubeconfig`."""
    require(KUBE)
    return KUBE.path("kubectl")


@pytest.fixture(scope="session")
def minio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MinioServer]:
    """A real S3 server: `.endpoint`, `.access_key`, `.secret_key`, `.region`.  Use a bucket of your own."""
    require(MINIO)
    server = MinioServer(tmp_path_factory.mktemp("minio"))
    try:
        yield server
    finally:
        server.stop()
