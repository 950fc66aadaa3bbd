"""An HTTP proxy before an apiserver that records every request with its answer, and can spoil the answers.

Each worker has a bearer token of its own, by which the proxy tells who asks; it goes on with the server's.  What
becomes of a request is decided by `rule`, which runs in the request's own thread: it may look, wait, and choose.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import define, field

from support.taskforms import BadForm, by_task


class Fate(Enum):
    """What becomes of a request."""

    PASS = "pass"
    LOSE = "carried out, and the connection closed without an answer"
    ERROR = "carried out, and answered with 500"
    RESET = "not carried out: the connection is reset"
    UNAVAILABLE = "not carried out: answered with 503"
    FORBIDDEN = "not carried out: answered with 403"
    LATE = "answered with 504, and carried out just before the same worker sends it again"


@define(eq=False)
class Recorded:
    """One request.  `status` and `answer` are the apiserver's, None where it was not asked (yet)."""

    worker: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    raw: bytes
    at: float
    fate: Fate = Fate.PASS
    status: int | None = None
    answer: Any = None
    ended: float | None = None

    @property
    def landed(self) -> bool:
        """It was a write, and the apiserver carried it out."""
        return self.method != "GET" and self.status is not None and 200 <= self.status < 300

    @property
    def watch(self) -> bool:
        """It is a watch."""
        return self.query.get("watch") in ("1", "true")

    @property
    def kind(self) -> str:
        """The plural of what it is about."""
        parts = self.path.split("/")
        return parts[parts.index("namespaces") + 2] if "namespaces" in parts else ""

    @property
    def name(self) -> str:
        """The name of what it is about, empty for a list."""
        parts = self.path.split("/")
        return parts[parts.index("namespaces") + 3] if len(parts) > parts.index("namespaces") + 3 else ""

    def values(self, op: str) -> dict[str, Any]:
        """The paths and values of the patch's operations of one kind; of all tasks at once, those of each, too."""
        values = {each["path"]: each.get("value") for each in self.body if each["op"] == op} if self.body else {}
        with suppress(BadForm):  # that it has none, or such as the judge will not have
            values.update({f"/tasks/{number}": state for number, state in by_task(values.get("/tasks")).items()})
        return values

    @property
    def sets(self) -> dict[str, Any]:
        """What a patch writes."""
        return {**self.values("add"), **self.values("replace")}

    @property
    def tasks(self) -> dict[str, str]:
        """The tasks that a patch changes, with their new states; those that it writes as they were are left out."""
        tests = self.values("test")
        return {
            path.removeprefix("/tasks/"): new
            for path, new in self.sets.items()
            if path.startswith("/tasks/") and tests.get(path) != new
        }

    def __str__(self) -> str:
        told = f"{self.status}" if self.fate is Fate.PASS else f"{self.status} ({self.fate.name})"
        return f"{self.at:.3f} {self.worker} {self.method} {self.path} {self.query} {self.raw.decode()} -> {told}"


class Proxy:
    """`url` is its address.  `news` is notified after each request; `records` grows only."""

    def __init__(self, host: str, port: int, token: str, news: threading.Condition) -> None:
        self.records: list[Recorded] = []
        self.rule: Callable[[Recorded], Fate] = lambda record: Fate.PASS
        self.before: Callable[[Recorded], None] = lambda record: None
        self.problems: list[str] = []
        self.news = news
        self._upstream = (host, port)
        self._token = token
        self._late: dict[tuple[str, str, bytes], Recorded] = {}
        self._open: set[socket.socket] = set()
        self._server = _server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        """Where workers find the apiserver."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        """End all connections."""
        self._server.shutdown()
        with self.news:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def forward(self, record: Recorded, answer: Callable[[int, bytes], None] | None = None) -> tuple[int, bytes]:
        """Ask the apiserver; with `answer`, a watch is passed on piece by piece."""
        connection = HTTPConnection(*self._upstream, timeout=60)
        try:
            target = record.headers[":target"]
            kept = {name: value for name, value in record.headers.items() if name in ("content-type", "accept")}
            connection.request(
                record.method, target, record.raw or None, {**kept, "Authorization": f"Bearer {self._token}"}
            )
            response = connection.getresponse()
            if answer is not None and record.watch:
                record.status = response.status
                answer(response.status, b"")
                while data := response.read1(65536):
                    answer(0, data)
                return response.status, b""
            return response.status, response.read()
        finally:
            connection.close()

    def carry_out(self, record: Recorded) -> bytes:
        """Forward a request and note what came of it."""
        self.before(record)
        status, body = self.forward(record)
        with self.news:
            record.status, record.answer = status, json.loads(body)
        return body

    def handle(self, record: Recorded, reply: Callable[[int, bytes], None], cut: Callable[[bool], None]) -> None:
        """One request, in its own thread."""
        with self.news:
            self.records.append(record)
        if record.watch:
            self.forward(record, reply)
            return
        record.fate = self.rule(record)
        key = (record.worker, record.path, record.raw)
        held = self._late.pop(key, None)
        if held is not None:
            self.carry_out(held)
        if record.fate is Fate.LATE:
            self._late[key] = record
            reply(504, _status(504, "Timeout"))
        elif record.fate is Fate.RESET:
            cut(True)
        elif record.fate is Fate.UNAVAILABLE:
            reply(503, _status(503, "ServiceUnavailable"))
        elif record.fate is Fate.FORBIDDEN:
            reply(403, _status(403, "Forbidden"))
        else:
            body = self.carry_out(record)
            if record.fate is Fate.LOSE:
                cut(False)
            elif record.fate is Fate.ERROR:
                reply(500, _status(500, "InternalError"))
            else:
                reply(record.status or 0, body)
        with self.news:
            record.ended = time.monotonic()
            self.news.notify_all()


def _status(code: int, reason: str) -> bytes:
    document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return json.dumps({**document, "message": f"the proxy says {reason}"}).encode()


def _server(proxy: Proxy) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            with proxy.news:
                proxy._open.add(self.connection)

        def finish(self) -> None:
            with proxy.news:
                proxy._open.discard(self.connection)
            with suppress(OSError):
                super().finish()

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            record = Recorded(
                worker=self.headers.get("Authorization", "").removeprefix("Bearer "),
                method=self.command,
                path=unquote(parts.path),
                query=dict(parse_qsl(parts.query)),
                headers={**{name.lower(): value for name, value in self.headers.items()}, ":target": self.path},
                body=json.loads(raw) if raw else None,
                raw=raw,
                at=time.monotonic(),
            )
            try:
                proxy.handle(record, self._reply, self._cut)
            except (OSError, HTTPException):
                self.close_connection = True  # The worker is gone, or the test is over.

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

        def _reply(self, status: int, body: bytes) -> None:
            if status == 0:
                self.wfile.write(body)
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if body:
                self.send_header("Content-Length", str(len(body)))
            else:
                self.send_header("Connection", "close")  # a watch ends with its connection
            self.end_headers()
            self.wfile.write(body)

        def _cut(self, reset: bool) -> None:
            self.close_connection = True
            if reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    class Server(ThreadingHTTPServer):
        daemon_threads = False
        request_queue_size = 128

        def shutdown_request(self, request: Any) -> None:
            request.close()  # without a shutdown before it, which would turn a reset into an orderly end

        def handle_error(self, request: Any, client_address: Any) -> None:
            import traceback

            proxy.problems.append(traceback.format_exc())

    return Server(("127.0.0.1", 0), Handler)


@define
class Held:
    """A request that is kept waiting: `arrived` when it is there, `let_go` sends it on."""

    record: Recorded | None = None
    released: threading.Event = field(factory=threading.Event)

    def let_go(self) -> None:
        """Send it on."""
        self.released.set()


def holding(proxy: Proxy, which: Callable[[Recorded], bool]) -> Held:
    """Keep the first request that `which` picks waiting, from now on."""
    held = Held()

    def rule(record: Recorded) -> Fate:
        if held.record is None and which(record):
            with proxy.news:
                held.record = record
                proxy.news.notify_all()
            held.released.wait(60)
        return Fate.PASS

    proxy.rule = rule
    return held
