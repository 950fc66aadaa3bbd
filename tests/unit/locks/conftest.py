"""Servers with a custom resource of a user's own on them, to put locks on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kubemr.local.apiserver.http import HttpServer, new_server
from kubemr.locks import HttpTransport, Server
from support.bench import Bench
from support.controlplane import ApiServer
from support.gadgets import CRD, Gadgets, define_gadgets
from support.locktime import VirtualTime
from support.rawserver import Behaviour, RawServer


@pytest.fixture
def time() -> VirtualTime:
    """A clock that only the test moves."""
    return VirtualTime()


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver in memory."""
    return Bench()


@pytest.fixture
def raw_server() -> Iterator[Callable[..., RawServer]]:
    """Starts a server with the given misbehaviour."""
    servers: list[RawServer] = []

    def start(*behaviours: Behaviour) -> RawServer:
        servers.append(RawServer(*behaviours))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def embedded() -> Iterator[Server]:
    """Local mode's own apiserver, on a real socket."""
    server = HttpServer(new_server([CRD], {}), "token")
    server.start()
    yield Server(server.url, token="token")
    server.stop()


@pytest.fixture(scope="session", params=["embedded", "real"])
def server(request: pytest.FixtureRequest) -> Server:
    """Where requests go: each test runs against both apiservers."""
    if request.param == "embedded":
        embedded: Server = request.getfixturevalue("embedded")
        return embedded
    real: ApiServer = request.getfixturevalue("apiserver")
    return Server(real.url, token=real.token, ca_file=real.ca_file)


@pytest.fixture(scope="session")
def transport(server: Server) -> Iterator[HttpTransport]:
    """The real HTTP stack."""
    with HttpTransport(server) as transport:
        yield transport


@pytest.fixture(scope="session")
def gadgets(transport: HttpTransport) -> Gadgets:
    """A custom resource with a status subresource, and a namespace to make objects of it in."""
    return define_gadgets(transport)
