"""The embedded apiserver on a real socket, and operators that run against it in real time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kubemr.controller.client import Client, PlainConnection
from kubemr.local.apiserver.http import HttpServer
from kubemr.local.apiserver.kubemr_server import kubemr_server
from support.operators import TOKEN, OperatorCluster


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """Start an apiserver for one test."""
    server = HttpServer(kubemr_server(), TOKEN)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Return an operator's environment, for a server where a second is a long time."""
    return {
        "KUBEMR_NAMESPACE": "default",
        "KUBEMR_INSTANCE": "op",
        "KUBEMR_LEASE_SECONDS": "1",
        "KUBEMR_STORAGE_URL": tmp_path.as_uri(),
    }


@pytest.fixture
async def client(server: HttpServer) -> AsyncIterator[Client]:
    """To look at what the operators do."""
    async with Client(PlainConnection(server.url, TOKEN)) as client:
        yield client


@pytest.fixture
def cluster(server: HttpServer, client: Client, environ: dict[str, str]) -> OperatorCluster:
    """Return the cluster of that server."""
    return OperatorCluster(server, client, environ)
