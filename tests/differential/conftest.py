"""Both servers, and the comparison: every case must be answered alike by the embedded and the real apiserver."""

from __future__ import annotations

import itertools
import json
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from differential.cases import Case
from differential.definitions import all_definitions
from differential.normal import Transcript, differences
from differential.servers import Server
from differential.wholecluster import PREFIX, control_plane_of
from kubemr.local.apiserver.http import HttpServer, new_server
from kubemr.local.apiserver.kubemr_server import rules
from support.binaries import ETCD, KUBE
from support.controlplane import ControlPlane
from support.left_out import require

Compare = Callable[[Case], None]


@pytest.fixture(scope="session", params=["alone", pytest.param("cluster", marks=pytest.mark.cluster)])
def plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of this suite's own, or a whole cluster's: it forgets its past, and no controller interferes."""
    if request.param == "cluster":
        with control_plane_of(request.getfixturevalue("breakable_cluster")) as found:
            yield found
        return
    require(ETCD, KUBE)
    started = ControlPlane(tmp_path_factory.mktemp("differential"))
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def real(plane: ControlPlane) -> Iterator[Server]:
    """The real kube-apiserver with the custom resources of the cases, and an etcd that has forgotten the past.

    Its watch caches begin when a definition is first served, and etcd is compacted through its gateway: so the first
    revisions are too old for a watch of widgets and for a list, as they are in the embedded server.
    """
    apiserver = plane.apiserver
    server = Server(apiserver.url, apiserver.token, apiserver.ca_file)
    server.install(all_definitions())
    namespaces = json.loads(server.exchange("GET", "/api/v1/namespaces")[1])
    revision = {"revision": namespaces["metadata"]["resourceVersion"], "physical": True}
    request = urllib.request.Request(f"{plane.etcd.url}/v3/kv/compaction", json.dumps(revision).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()
    yield server
    server.close()


@pytest.fixture(scope="session")
def embedded() -> Iterator[Server]:
    """The embedded one, over HTTP, without the garbage collector (the real one has none in the apiserver either)."""
    core = new_server(all_definitions(), rules())
    core.compact()
    front = HttpServer(core, token="secret", collect=False)
    front.start()
    server = Server(front.url, "secret", None)
    try:
        yield server
    finally:
        server.close()
        front.stop()


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """For names of namespaces."""
    return itertools.count(1)


@pytest.fixture
def compare(real: Server, embedded: Server, numbers: Iterator[int]) -> Compare:
    """Run a case on both servers, each in a new namespace of the same name, and compare all answers."""

    def run(case: Case) -> None:
        namespace = f"{PREFIX}{next(numbers)}"
        wanted = Transcript(real.run(namespace, case.steps)).answers
        given = Transcript(embedded.run(namespace, case.steps)).answers
        different = differences(given, wanted)
        assert not different, "\n".join(different)

    return run
