"""An embedded apiserver, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubemr.local.apiserver.http import HttpServer
from kubemr.local.apiserver.kubemr_server import kubemr_server
from support.embeddedclient import Api


@pytest.fixture
def api() -> Iterator[Api]:
    """An apiserver and a client of it."""
    http = HttpServer(kubemr_server(), "secret")
    http.start()
    api = Api(http)
    yield api
    api.transport.close()
    http.stop()
