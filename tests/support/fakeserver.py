"""A scripted HTTP apiserver on a real socket, for the faults that a real one cannot be made to show.

A test lists what happens to each request, in order: `server.expect(answer, answer, …)`.  An answer is a coroutine
function that gets the `Exchange`; the functions below make the usual ones.  A request beyond the script is held open
without an answer, as a quiet watch is.  What was asked is in `server.requests`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import define, field


@define
class Received:
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at: float
    """The loop's time."""

    @property
    def is_watch(self) -> bool:
        """True for a watch, False for any other request."""
        return self.query.get("watch") == "true"


@define(eq=False)
class Exchange:
    """One request and the means to answer it."""

    request: Received
    writer: asyncio.StreamWriter
    streaming: bool = False

    async def raw(self, data: bytes) -> None:
        """Bytes, as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def json(self, document: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """A whole answer."""
        await self.text(json.dumps(document), status, {"Content-Type": "application/json", **(headers or {})})

    async def text(self, text: str, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """A whole answer that need not be JSON."""
        body = text.encode()
        lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.raw("\r\n".join([*lines, "", ""]).encode() + body)

    async def open_stream(self) -> None:
        """The head of a watch's answer."""
        self.streaming = True
        await self.raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        )

    async def chunk(self, data: bytes) -> None:
        """A piece of the stream."""
        await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def event(self, kind: str, obj: Any) -> None:
        """An event of the stream."""
        await self.chunk(json.dumps({"type": kind, "object": obj}).encode() + b"\n")

    async def end(self) -> None:
        """The stream's proper end."""
        await self.raw(b"0\r\n\r\n")

    def cut(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()

    async def hold(self) -> None:
        """Say nothing more, until the server is stopped."""
        await asyncio.Event().wait()


Script = Callable[[Exchange], Awaitable[None]]


@define
class FakeServer:
    """Use as an async context manager.  `url` is known inside it, and stays the same after `stop` and `start`."""

    tls: ssl.SSLContext | None = None
    port: int = 0
    requests: list[Received] = field(factory=list)
    connections: int = 0
    _script: deque[Script] = field(factory=deque)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(factory=set)
    _arrived: asyncio.Condition = field(factory=asyncio.Condition)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def left(self) -> int:
        """How many answers of the script were not used."""
        return len(self._script)

    def expect(self, *answers: Script) -> None:
        """What happens to the next requests."""
        self._script.extend(answers)

    async def __aenter__(self) -> FakeServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls, limit=2**22)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse new connections and cut those that are open."""
        if self._server:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wait_for(self, number: int) -> Received:
        """The request with this number, from 0; waits until it has come."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) > number)
        return self.requests[number]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        try:
            while received := await self._read(reader):
                async with self._arrived:
                    self.requests.append(received)
                    self._arrived.notify_all()
                exchange = Exchange(received, writer)
                answer = self._script.popleft() if self._script else Exchange.hold
                await answer(exchange)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Received | None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return Received(method, unquote(parts.path), query, headers, body, asyncio.get_running_loop().time())


def status(code: int, reason: str = "", message: str = "", **extra: Any) -> dict[str, Any]:
    """A `Status` body."""
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message, **extra}


def reply(document: Any, code: int = 200, headers: dict[str, str] | None = None) -> Script:
    """A whole JSON answer."""
    return lambda exchange: exchange.json(document, code, headers)


def refuse(code: int, reason: str = "", message: str = "", headers: dict[str, str] | None = None) -> Script:
    """A refusal with a `Status` body."""
    return reply(status(code, reason, message), code, headers)


def watching(*events: tuple[str, Any], then: str = "hold", after: float = 0.0) -> Script:
    """A watch with these events, `after` seconds later its end: `hold` (never), `end` (proper) or `cut`."""

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        for kind, obj in events:
            await exchange.event(kind, obj)
        await asyncio.sleep(after)
        if then == "hold":
            await exchange.hold()
        elif then == "end":
            await exchange.end()
        else:
            exchange.cut()

    return answer
