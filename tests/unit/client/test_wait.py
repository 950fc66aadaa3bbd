"""`Client.wait`: the effect `Watch`, a hint to look sooner."""

from __future__ import annotations

import asyncio

import pytest

from kubemr.controller.client import Client
from kubemr.locks.effects import Resource, Watch, WatchEvent
from support.fakeserver import FakeServer, refuse, watching

PODS = Resource("", "v1", "pods")


async def test_the_first_event(server: FakeServer, client: Client) -> None:
    """Bookmarks are passed over; selectors and version are sent."""
    server.expect(watching(("BOOKMARK", {}), ("MODIFIED", {"a": 1}), ("DELETED", {})))
    watch = Watch(PODS, "ns", "17", 20.5, label_selector="a=b", field_selector="metadata.name=x")
    assert await client.wait(watch) == WatchEvent("MODIFIED", {"a": 1})
    assert server.requests[0].query == {
        "watch": "true",
        "resourceVersion": "17",
        "timeoutSeconds": "21",
        "labelSelector": "a=b",
        "fieldSelector": "metadata.name=x",
    }


async def test_nothing_in_time(server: FakeServer, client: Client) -> None:
    """None after `timeout`, also when the server ends the watch or the connection never answers."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    server.expect(watching())
    assert await client.wait(Watch(PODS, "ns", "17", 20)) is None
    assert loop.time() - start == pytest.approx(20, abs=1)
    assert "labelSelector" not in server.requests[0].query
    server.expect(watching(then="end"))
    assert await client.wait(Watch(PODS, "ns", "17", 20)) is None
    start = loop.time()
    assert await client.wait(Watch(PODS, "ns", "17", 20)) is None
    assert loop.time() - start == pytest.approx(20, abs=1)


async def test_a_watch_that_cannot_be_opened(server: FakeServer, client: Client) -> None:
    """None: the caller polls anyway."""
    server.expect(refuse(410, "Expired"))
    assert await client.wait(Watch(PODS, "ns", "17", 20)) is None
    await server.stop()
    assert await client.wait(Watch(PODS, "ns", "17", 20)) is None
