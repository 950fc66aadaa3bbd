"""The healthy course: list from the cache, watch from there, bookmarks."""

from __future__ import annotations

import asyncio

from kubemr.controller.client import Client
from support.fakeserver import Exchange, FakeServer, reply, watching
from support.informers import bookmark, eventually, pod, pods, running, versions


async def test_list_then_watch(server: FakeServer, client: Client) -> None:
    """The first list may come from the cache ("0"); the watch continues where the list was."""
    server.expect(
        reply(pods(10, pod("a", 3), pod("b", 7))),
        watching(("ADDED", pod("c", 11)), ("MODIFIED", pod("a", 12)), ("DELETED", pod("b", 13))),
    )
    async with running(client, label_selector="app=x", field_selector="spec.nodeName=n") as (informer, recorder):
        await eventually(lambda: len(recorder.changes) == 5)
        assert recorder.changes == ["+a@3!", "+b@7!", "+c@11", "a@3>a@12", "-b@13"]
        assert sorted(informer.store.keys()) == ["ns/a", "ns/c"]
        assert informer.resource_version == "13"
        assert informer.store.find("ns", "c") == pod("c", 11)
    listed, watched = server.requests
    assert listed.path == "/api/v1/namespaces/ns/pods"
    selectors = {"labelSelector": "app=x", "fieldSelector": "spec.nodeName=n"}
    assert listed.query == {**selectors, "limit": "500", "resourceVersion": "0"}
    timeout = watched.query.pop("timeoutSeconds")
    assert 300 <= int(timeout) <= 600
    assert watched.query == {**selectors, "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "10"}


async def test_items_get_their_kind_and_lose_managed_fields(server: FakeServer, client: Client) -> None:
    """Lists leave kind and apiVersion out of built-in items; managedFields are not stored, from list or watch."""
    managed = [{"manager": "kubectl", "fieldsV1": {}}]
    server.expect(
        reply(pods(10, pod("a", 3, managedFields=managed))), watching(("ADDED", pod("b", 11, managedFields=managed)))
    )
    async with running(client) as (informer, _):
        await eventually(lambda: len(informer.store) == 2)
        assert informer.store.find("ns", "a") == pod("a", 3)
        assert informer.store.find("ns", "b") == pod("b", 11)


async def test_a_transform_of_ones_own(server: FakeServer, client: Client) -> None:
    """It is applied before storing."""
    server.expect(reply(pods(10, pod("a", 3))), watching())
    async with running(client, transform=lambda obj: {"metadata": obj["metadata"]}) as (informer, _):
        await eventually(lambda: informer.has_synced)
        assert set(informer.store.find("ns", "a") or {}) == {"metadata"}


async def test_the_watch_resumes_at_the_last_bookmark(server: FakeServer, client: Client) -> None:
    """A proper end is followed by the next watch at once; bookmarks move the version, and no handler receives them."""
    server.expect(reply(pods(10, pod("a", 3))), watching(bookmark(50), bookmark(90), then="end", after=400), watching())
    async with running(client) as (informer, recorder):
        await server.wait_for(2)
        assert informer.resource_version == "90"
        assert recorder.changes == ["+a@3!"]
    assert versions(server.requests) == ["list@0", "watch@10", "watch@90"]
    assert server.requests[2].at - server.requests[1].at < 402


async def test_server_timeouts_are_drawn_from_5_to_10_minutes(server: FakeServer, client: Client) -> None:
    """Each watch has another timeout."""
    randoms = iter([0.0, 0.5, 0.999])
    server.expect(reply(pods(10)), watching(then="end", after=2), watching(then="end", after=2))
    async with running(client, uniform=lambda: next(randoms)):
        await server.wait_for(3)
    assert [r.query["timeoutSeconds"] for r in server.requests[1:]] == ["300", "450", "599"]


async def test_pages_are_followed(server: FakeServer, client: Client) -> None:
    """`continue` is sent with the selectors and without a version; the list's version is the last page's."""
    server.expect(
        reply(pods(10, pod("a", 3), token="t1")),
        reply(pods(10, pod("b", 4), token="t2")),
        reply(pods(10, pod("c", 5))),
        watching(),
    )
    async with running(client, page_size=1) as (informer, _):
        await eventually(lambda: informer.has_synced)
        assert len(informer.store) == 3
        await server.wait_for(3)
    assert [r.query for r in server.requests[:3]] == [
        {"limit": "1", "resourceVersion": "0"},
        {"limit": "1", "continue": "t1"},
        {"limit": "1", "continue": "t2"},
    ]


async def test_an_event_of_megabytes(server: FakeServer, client: Client) -> None:
    """An object's size is no obstacle."""
    big = pod("big", 11, annotations={"text": "x" * 1_500_000})
    server.expect(reply(pods(10)), watching(("ADDED", big)))
    async with running(client) as (informer, _):
        await eventually(lambda: len(informer.store) == 1)
        assert informer.store.find("ns", "big") == big


async def test_a_half_open_connection_is_left(server: FakeServer, client: Client) -> None:
    """No byte past the server timeout means that the connection is dead; the watch resumes at its version."""
    server.expect(reply(pods(10)), watching(("ADDED", pod("a", 11))), watching())
    async with running(client) as _:
        await server.wait_for(2)
    assert versions(server.requests) == ["list@0", "watch@10", "watch@11"]
    waited = server.requests[2].at - server.requests[1].at
    assert 630 <= waited <= 633  # 10 minutes, 30 s of grace, 0.8 s of backoff


async def test_a_server_that_sends_bookmarks_and_falls_silent_is_left_sooner(
    server: FakeServer, client: Client
) -> None:
    """Bookmarks come every minute: three without one are too long."""
    server.expect(reply(pods(10)), watching(bookmark(20)), watching())
    async with running(client) as _:
        await server.wait_for(2)
    assert 180 <= server.requests[2].at - server.requests[1].at <= 183


async def test_bookmarks_keep_a_quiet_watch_alive(server: FakeServer, client: Client) -> None:
    """No reconnect as long as they come."""

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        for minute in range(9):
            await exchange.event(*bookmark(20 + minute))
            await asyncio.sleep(60)
        await exchange.end()

    server.expect(reply(pods(10)), answer, watching())
    async with running(client) as _:
        await server.wait_for(2)
    assert versions(server.requests) == ["list@0", "watch@10", "watch@28"]
