"""These tests run in virtual time, except those against a real apiserver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from kubemr.controller.client import Client, PlainConnection
from support.fakeserver import FakeServer
from support.virtualtime import VirtualLoop


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give every test its own event loop; if all ends of all sockets are on it, its time is virtual."""
    real = "apiserver" in item.fixturenames
    return {"real": asyncio.SelectorEventLoop} if real else {"virtual": VirtualLoop}


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    """Start a scripted apiserver."""
    async with FakeServer() as fake:
        yield fake


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[Client]:
    """Return a client of that server."""
    async with Client(PlainConnection(server.url, "sesame")) as client:
        yield client
