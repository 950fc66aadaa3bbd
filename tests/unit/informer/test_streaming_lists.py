"""Streaming lists: list and watch in one request, where the server has them."""

from __future__ import annotations

import asyncio

import pytest

from kubemr.controller.client import Client
from support.fakeserver import Exchange, FakeServer, refuse, reply, status, watching
from support.informers import bookmark, eventually, pod, pods, running, versions


async def test_list_and_watch_are_one_request(server: FakeServer, client: Client) -> None:
    """Until the bookmark no handler is notified; then the same stream is the watch."""

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event("ADDED", pod("a", 3))
        await exchange.event("ADDED", pod("b", 4))
        await exchange.event(*bookmark(5))
        await exchange.event("MODIFIED", pod("a", 6))
        await exchange.event("DELETED", pod("b", 7))
        await asyncio.sleep(5)
        assert not recorder.changes
        assert not informer.has_synced
        await exchange.event(*bookmark(10, ends_list=True))
        await asyncio.sleep(5)
        assert recorder.changes == ["+a@6!"]
        await exchange.event("ADDED", pod("c", 11))
        await asyncio.sleep(400)
        await exchange.end()

    server.expect(answer, watching())
    async with running(client, streaming=True) as (informer, recorder):
        await server.wait_for(1)
        assert recorder.changes == ["+a@6!", "+c@11"]
    first, second = server.requests
    assert second.at - first.at > 400  # once the list is there, a quiet watch is not taken for a dead one
    assert 300 <= int(first.query.pop("timeoutSeconds")) <= 600
    assert first.query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "sendInitialEvents": "true",
        "resourceVersion": "",
        "resourceVersionMatch": "NotOlderThan",
    }
    assert second.query["resourceVersion"] == "11"
    assert "sendInitialEvents" not in second.query


@pytest.mark.parametrize("code", [400, 422])
async def test_a_server_without_them_gets_ordinary_lists(server: FakeServer, client: Client, code: int) -> None:
    """At once, and from then on."""
    server.expect(
        refuse(code, "Invalid", "sendInitialEvents: Forbidden"),
        reply(pods(10, pod("a", 3))),
        refuse(410, "Expired"),
        reply(pods(20, pod("a", 3))),
        watching(),
    )
    async with running(client, streaming=True) as (_, recorder):
        await server.wait_for(4)
        assert recorder.changes == ["+a@3!"]
    assert versions(server.requests) == ["watch@", "list@0", "watch@10", "list@10", "watch@20"]
    assert server.requests[1].at == server.requests[0].at


@pytest.mark.parametrize("then", ["hold", "end"])
async def test_a_server_that_does_not_know_them_gets_ordinary_lists(
    server: FakeServer, client: Client, then: str
) -> None:
    """It takes the request for a plain watch: no bookmark ends the list, and the idle timeout or the end follows."""
    server.expect(watching(("ADDED", pod("a", 3)), then=then), reply(pods(10, pod("a", 3))), watching())
    async with running(client, streaming=True) as (_, recorder):
        await server.wait_for(2)
        assert recorder.changes == ["+a@3!"]
    assert versions(server.requests) == ["watch@", "list@0", "watch@10"]
    assert server.requests[1].at - server.requests[0].at <= 31


async def test_410_streams_again_not_older_than_what_was_seen(server: FakeServer, client: Client) -> None:
    """And a 410 for that too is followed by a consistent one."""
    gone = status(410, "Expired")
    server.expect(
        watching(("ADDED", pod("a", 3)), bookmark(10, ends_list=True), ("ERROR", gone)),
        watching(("ERROR", gone)),
        watching(("ADDED", pod("b", 18)), bookmark(20, ends_list=True)),
    )
    async with running(client, streaming=True) as (_, recorder):
        await eventually(lambda: recorder.changes == ["+a@3!", "+b@18", "-a@3?"])
    assert versions(server.requests) == ["watch@", "watch@10", "watch@"]


async def test_a_lost_connection_begins_the_list_again(server: FakeServer, client: Client) -> None:
    """Half a list is thrown away."""
    server.expect(
        watching(("ADDED", pod("a", 3)), then="cut", after=1),
        watching(("ADDED", pod("b", 4)), bookmark(10, ends_list=True)),
    )
    async with running(client, streaming=True) as (informer, recorder):
        await eventually(lambda: informer.has_synced)
        await eventually(lambda: recorder.changes == ["+b@4!"])
    assert versions(server.requests) == ["watch@", "watch@"]


async def test_other_refusals_are_not_taken_for_a_missing_feature(server: FakeServer, client: Client) -> None:
    """403 is asked again after a wait, as a streaming list."""
    server.expect(refuse(403, "Forbidden"), watching(bookmark(10, ends_list=True)))
    async with running(client, streaming=True) as (informer, _):
        await eventually(lambda: informer.has_synced)
    assert versions(server.requests) == ["watch@", "watch@"]
    assert server.requests[1].at - server.requests[0].at == pytest.approx(0.8, abs=0.05)


async def test_streams_that_end_at_once_are_no_hot_loop(server: FakeServer, client: Client) -> None:
    """A streaming list whose watch ends within a second is followed by waits like any other."""
    server.expect(*[watching(bookmark(10, ends_list=True), then="end")] * 1000)
    async with running(client, streaming=True) as _:
        await asyncio.sleep(600)
    assert 10 < len(server.requests) < 60
    assert set(versions(server.requests)[1:]) == {"watch@10"}
