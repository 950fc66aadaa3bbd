"""`Client.watch`: the raw stream of events, and every way in which it ends."""

from __future__ import annotations

import asyncio
import json

import pytest

from kubemr.controller.client import (
    Client,
    WatchBrokenError,
    WatchError,
    WatchGarbledError,
    WatchIdleTimeoutError,
    WatchRefusedError,
    watch_stream,
)
from kubemr.locks.effects import Request, Resource, WatchEvent
from support.fakeserver import Exchange, FakeServer, refuse, watching

WATCH = Request("list", Resource("", "v1", "pods"), "ns", query={"watch": "true", "resourceVersion": "5"})


async def read(client: Client, idle_timeout: float = 60.0) -> tuple[list[WatchEvent], WatchError | None]:
    """All events, and the error that ended the stream."""
    events: list[WatchEvent] = []
    try:
        async with client.watch(WATCH, idle_timeout=idle_timeout) as stream:
            async for event in stream:
                events.append(event)
    except WatchError as error:
        return events, error
    return events, None


async def test_events_then_a_proper_end(server: FakeServer, client: Client) -> None:
    """Events in order; the server's end is no error."""
    server.expect(watching(("ADDED", {"a": 1}), ("BOOKMARK", {"b": 2}), then="end"))
    assert await read(client) == ([WatchEvent("ADDED", {"a": 1}), WatchEvent("BOOKMARK", {"b": 2})], None)
    assert server.requests[0].query == {"watch": "true", "resourceVersion": "5"}


async def test_a_line_of_megabytes(server: FakeServer, client: Client) -> None:
    """Lines may be longer than any buffer, and arrive in pieces of any size."""
    text = "x" * 3_000_000
    line = json.dumps({"type": "ADDED", "object": {"text": text}}).encode() + b"\n\n"

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        for offset in range(0, len(line), 70_001):
            await exchange.chunk(line[offset : offset + 70_001])
        await exchange.event("DELETED", {})
        await exchange.end()

    server.expect(answer)
    events, error = await read(client)
    assert error is None
    assert [event.type for event in events] == ["ADDED", "DELETED"]
    assert events[0].object == {"text": text}


async def test_many_events_in_one_chunk(server: FakeServer, client: Client) -> None:
    """Lines are cut where they end, not where the chunks do."""

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        data = b"".join(b'{"type":"ADDED","object":{"n":%d}}\n' % n for n in range(1000))
        await exchange.chunk(data[:12345])
        await exchange.chunk(data[12345:])
        await exchange.end()

    server.expect(answer)
    events, error = await read(client)
    assert error is None
    assert [event.object["n"] for event in events] == list(range(1000))


@pytest.mark.parametrize(
    "garbage",
    [b"{not json}\n", b"\xff\xfe\n", b"[]\n", b'{"type":"ADDED"}\n', b'{"type":1,"object":{}}\n', b"x" * 500 + b"\n"],
)
async def test_garbage_ends_the_stream(server: FakeServer, client: Client, garbage: bytes) -> None:
    """A line that is no event is an error that shows it; events before it were delivered."""

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.chunk(b'{"type":"ADDED","object":{}}\n' + garbage)
        await exchange.hold()

    server.expect(answer)
    events, error = await read(client)
    assert len(events) == 1
    assert isinstance(error, WatchGarbledError)
    assert "not a watch event" in str(error)


@pytest.mark.parametrize("how", ["end", "cut"])
async def test_closed_in_the_middle_of_a_line(server: FakeServer, client: Client, how: str) -> None:
    """Half an event is not delivered, and the end is no proper one."""

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.chunk(b'{"type":"ADDED","object":{}}\n{"type":"MODI')
        await asyncio.sleep(1)
        if how == "end":
            await exchange.end()
        else:
            exchange.cut()

    server.expect(answer)
    events, error = await read(client)
    assert len(events) == 1
    assert isinstance(error, WatchBrokenError)


async def test_a_half_open_connection_is_noticed(server: FakeServer, client: Client) -> None:
    """After `idle_timeout` seconds without a byte."""
    server.expect(watching(("ADDED", {})))
    start = asyncio.get_running_loop().time()
    events, error = await read(client, idle_timeout=45)
    assert len(events) == 1
    assert isinstance(error, WatchIdleTimeoutError)
    assert asyncio.get_running_loop().time() - start == pytest.approx(45, abs=1)


async def test_a_refusal_carries_the_answer(server: FakeServer, client: Client) -> None:
    """Status, reason and Retry-After are at hand."""
    server.expect(refuse(429, "TooManyRequests", headers={"Retry-After": "3"}))
    events, error = await read(client)
    assert events == []
    assert isinstance(error, WatchRefusedError)
    assert (error.answer.status, error.answer.retry_after) == (429, 3.0)
    assert "429" in str(error)


async def test_a_refused_connection_is_broken(server: FakeServer, client: Client) -> None:
    """As is one on which no answer comes."""
    start = asyncio.get_running_loop().time()
    _, error = await read(client)
    assert isinstance(error, WatchBrokenError)
    assert "no answer" in str(error)
    assert asyncio.get_running_loop().time() - start == 30
    await server.stop()
    _, error = await read(client)
    assert isinstance(error, WatchBrokenError)


async def test_leaving_early_closes_the_connection(server: FakeServer, client: Client) -> None:
    """A watch that is left does not stay open at the server."""
    closed = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event("ADDED", {})
        try:
            while True:
                await asyncio.sleep(1)
                await exchange.event("MODIFIED", {})
        except ConnectionError:
            closed.set()

    server.expect(answer)
    async with client.watch(WATCH, idle_timeout=60) as stream:
        assert (await anext(stream)).type == "ADDED"
    await asyncio.wait_for(closed.wait(), 10)


async def test_an_endless_line_is_given_up(server: FakeServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, whatever the server sends."""
    monkeypatch.setattr(watch_stream, "MAX_LINE", 100_000)

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        while True:
            await exchange.chunk(b"x" * 10_000)

    server.expect(answer)
    _, error = await read(client)
    assert isinstance(error, WatchGarbledError)
    assert "100000 bytes" in str(error)
