"""Errors, refusals and lost connections: what is waited for, resumed and relisted."""

from __future__ import annotations

import asyncio
import itertools

import pytest
import structlog

from kubemr.controller.client import Client
from kubemr.controller.informer import Object
from support.fakeserver import Exchange, FakeServer, Script, refuse, reply, status, watching
from support.informers import eventually, pod, pods, running, versions


def waits(server: FakeServer) -> list[float]:
    """Seconds between the requests."""
    times = [r.at for r in server.requests]
    return [round(later - earlier, 1) for earlier, later in itertools.pairwise(times)]


async def test_refused_connections_back_off_from_800_ms_to_30_s(server: FakeServer, client: Client) -> None:
    """The server is away for four minutes; then the watch resumes at the same version, without a new list."""
    server.expect(reply(pods(10)), watching(then="cut", after=10), watching())
    with structlog.testing.capture_logs() as logs:
        async with running(client) as _:
            await server.wait_for(1)
            await asyncio.sleep(9.9)
            await server.stop()
            await asyncio.sleep(240)
            await server.start()
            await server.wait_for(2)
    assert versions(server.requests) == ["list@0", "watch@10", "watch@10"]
    failures = [entry for entry in logs if entry["event"] == "watch_failed"]
    # 0.8 + 1.6 + 3.2 + 6.4 + 12.8 + 25.6 s, then 30 s each: 13 attempts in four minutes.
    assert 12 <= len(failures) <= 14
    assert {entry["log_level"] for entry in failures} == {"info"}


async def test_429_waits_for_retry_after_and_resumes(server: FakeServer, client: Client) -> None:
    """On lists and watches, as status and as ERROR event; jitter comes on top."""
    busy = refuse(429, "TooManyRequests", headers={"Retry-After": "10"})
    server.expect(
        busy,
        reply(pods(10)),
        busy,
        watching(("ERROR", status(429, "TooManyRequests", details={"retryAfterSeconds": 20}))),
        watching(),
    )
    async with running(client) as _:
        await server.wait_for(4)
    assert versions(server.requests) == ["list@0", "list@0", "watch@10", "watch@10", "watch@10"]
    assert waits(server) == [10.8, 0.0, 11.6, 23.2]


async def test_the_backoff_starts_again_after_two_quiet_minutes(server: FakeServer, client: Client) -> None:
    """A watch that lasted is no reason to wait long after it."""
    down = refuse(503, "ServiceUnavailable")
    server.expect(
        reply(pods(10)), down, down, down, watching(then="cut", after=130), watching(then="cut", after=60), watching()
    )
    async with running(client) as _:
        await server.wait_for(6)
    assert waits(server) == [0.0, 0.8, 1.6, 3.2, 130.8, 61.6]
    assert versions(server.requests)[1:] == ["watch@10"] * 6


async def test_other_error_events_are_errors_and_relist(server: FakeServer, client: Client) -> None:
    """What the server could not send is lost: only a list shows it."""
    server.expect(
        reply(pods(10, pod("a", 3))),
        watching(
            ("ADDED", pod("b", 11)), ("ERROR", status(500, "InternalError", "etcd event received with PrevKv=nil"))
        ),
        reply(pods(20, pod("a", 3))),
        watching(),
    )
    with structlog.testing.capture_logs() as logs:
        async with running(client) as (_, recorder):
            await server.wait_for(3)
            assert recorder.changes == ["+a@3!", "+b@11", "-b@11?"]
    assert versions(server.requests) == ["list@0", "watch@10", "list@11", "watch@20"]
    [event] = [entry for entry in logs if entry["event"] == "watch_failed"]
    assert event["log_level"] == "error"
    assert "PrevKv" in event["error"]
    assert event["resource"] == "pods"


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b'{"type":"ERROR","object":{}}\n',
        b'{"type":"NEWS","object":{"metadata":{"name":"a","resourceVersion":"11"}}}\n',
        b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n',
        b'{"type":"BOOKMARK","object":{}}\n',
    ],
)
async def test_garbage_relists(server: FakeServer, client: Client, line: bytes) -> None:
    """A line that is no event: what it should have said is lost."""

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event("ADDED", pod("b", 11))
        await exchange.chunk(line)
        await exchange.hold()

    server.expect(reply(pods(10)), answer, reply(pods(20, pod("c", 15))), watching())
    async with running(client) as (_, recorder):
        await server.wait_for(3)
        assert recorder.changes == ["+b@11", "+c@15", "-b@11?"]
    assert versions(server.requests) == ["list@0", "watch@10", "list@11", "watch@20"]


async def test_a_stream_cut_in_the_middle_of_a_line_resumes(server: FakeServer, client: Client) -> None:
    """All events before were whole, so the version is right."""

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event("ADDED", pod("a", 11))
        await exchange.chunk(b'{"type":"ADDED","object":{"metadata":{"na')
        await asyncio.sleep(5)
        await exchange.end()

    server.expect(reply(pods(10)), answer, watching(("ADDED", pod("b", 12))))
    async with running(client) as (_, recorder):
        await eventually(lambda: recorder.changes == ["+a@11", "+b@12"])
    assert versions(server.requests) == ["list@0", "watch@10", "watch@11"]


async def test_a_watch_that_is_refused_relists_after_a_wait(server: FakeServer, client: Client) -> None:
    """403, 404 and the like are errors: rights or the resource itself changed."""
    server.expect(reply(pods(10)), refuse(403, "Forbidden"), refuse(403, "Forbidden"), reply(pods(11)), watching())
    with structlog.testing.capture_logs() as logs:
        async with running(client) as _:
            await server.wait_for(4)
    assert versions(server.requests) == ["list@0", "watch@10", "list@10", "list@10", "watch@11"]
    assert waits(server) == [0.0, 0.8, 1.6, 0.0]
    assert [entry["log_level"] for entry in logs if entry["event"].endswith("_failed")] == ["error", "error"]


@pytest.mark.parametrize(
    "script",
    [
        watching(then="end"),
        watching(("MODIFIED", pod("a", 11)), then="end"),
        watching(then="cut"),
        refuse(410, "Expired"),
        refuse(500, "InternalError"),
        watching(("ERROR", status(410, "Expired"))),
    ],
    ids=["empty", "one event", "cut", "410", "500", "410 event"],
)
@pytest.mark.parametrize("streaming", [False, True])
async def test_never_a_hot_loop(server: FakeServer, client: Client, script: Script, streaming: bool) -> None:
    """Whatever goes wrong each time, and at once: no more than a few requests a minute in the long run."""

    async def answer(exchange: Exchange) -> None:
        if exchange.request.is_watch:
            if not exchange.request.query["resourceVersion"] and streaming:
                await refuse(422)(exchange)
            else:
                await script(exchange)
        else:
            await reply(pods(10, pod("a", 3)))(exchange)

    server.expect(*[answer] * 1000)
    async with running(client, streaming=streaming) as _:
        await asyncio.sleep(600)
    assert 10 < len(server.requests) < 60


async def test_what_the_sink_raises_is_reported_and_repaired(server: FakeServer, client: Client) -> None:
    """An index function that fails must not end the informer, nor lose the change."""
    broken = True

    def index(obj: Object) -> list[str]:
        if broken and obj["metadata"]["name"] == "b":
            raise RuntimeError("bug in the index")
        return []

    server.expect(
        reply(pods(10, pod("a", 3))),
        watching(("ADDED", pod("b", 11))),
        reply(pods(11, pod("a", 3), pod("b", 11))),
        reply(pods(11, pod("a", 3), pod("b", 11))),
        watching(),
    )
    with structlog.testing.capture_logs() as logs:
        async with running(client, indexes={"x": index}) as (informer, recorder):
            await server.wait_for(2)
            await asyncio.sleep(0.1)
            assert informer.store.keys() == ["ns/a"]
            broken = False
            await eventually(lambda: recorder.changes == ["+a@3!", "+b@11"])
    [first, *_] = [entry for entry in logs if entry["event"] == "reflector_failed"]
    assert "bug in the index" in first["error"]
