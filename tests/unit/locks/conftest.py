"""Servers with a custom resource of a user's own on them, to put locks on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kubemr.locks import HttpTransport, Server
from support.controlplane import ApiServer
from support.gadgets import Gadgets, define_gadgets
from support.locktime import VirtualTime
from support.rawserver import Behaviour, RawServer


@pytest.fixture
def time() -> VirtualTime:
    """A clock that only the test moves."""
    return VirtualTime()


@pytest.fixture
def raw_server() -> Iterator[Callable[..., RawServer]]:
    """Starts a server that misbehaves as told."""
    servers: list[RawServer] = []

    def start(*behaviours: Behaviour) -> RawServer:
        servers.append(RawServer(*behaviours))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session", params=["real"])
def server(request: pytest.FixtureRequest) -> Server:
    """Where requests go: the real kube-apiserver."""
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
