"""Serve the embedded apiserver by HTTP/1.1, on 127.0.0.1 only.

One thread does everything, so the core needs no lock, and a watch delivers a write before the next request is read::

    server = HttpServer(new_server(), token="secret")
    server.start()          # serves in a thread; server.url is http://127.0.0.1:<port>
    ...
    server.stop()

`serve` does the same in the calling thread (`python -m kubemr.local.apiserver`).
"""

from __future__ import annotations

import hmac
import os
import random
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from kubemr.local.apiserver import discovery, errors, http1, options, routing
from kubemr.local.apiserver.core import HISTORY, ApiServer
from kubemr.local.apiserver.custom_resources import Rules
from kubemr.local.apiserver.errors import ApiError
from kubemr.local.apiserver.event_loop import Connection, EventLoop
from kubemr.local.apiserver.http1 import HttpRequest
from kubemr.local.apiserver.kubectl_table import as_table
from kubemr.local.apiserver.watch import Subscription
from kubemr.locks.effects import Answer, Json

LOOPBACK: Final = "127.0.0.1"
_TOKEN_PATH: Final = "/token/"
_SUFFIX_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_BOOKMARK_SECONDS: Final = 60.0
_BOOKMARK_BEFORE_END_SECONDS: Final = 2.0
_WATCH_SECONDS: Final = (1800, 3600)
_MAX_BACKLOG: Final = 16 * 1024 * 1024
"""A watch with more unsent bytes is closed; its client lists again."""


def new_uid() -> str:
    """Return a random uid (RFC 9562, version 4)."""
    digits = bytearray(os.urandom(16))
    digits[6], digits[8] = digits[6] & 0x0F | 0x40, digits[8] & 0x3F | 0x80
    text = digits.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def new_suffix() -> str:
    """Return five characters for a `generateName`."""
    return "".join(random.choices(_SUFFIX_LETTERS, k=5))


def new_server(
    definitions: Iterable[Json] = (),
    rules: Mapping[tuple[str, str], Rules] = MappingProxyType({}),
    history: int = HISTORY,
) -> ApiServer:
    """Return a core with the machine's clock and random names."""
    namespaces = ("default", "kube-system")
    return ApiServer(
        clock=time.time,
        uids=new_uid,
        suffixes=new_suffix,
        definitions=definitions,
        rules=rules,
        namespaces=namespaces,
        history=history,
    )


class HttpServer:
    """Serves a core.  After `start` (or once `serve` runs) only the server's thread may use the core.

    `token` is the bearer token that every request must carry; None accepts all requests.  `collect` runs the garbage
    collector after deletions.
    """

    def __init__(self, core: ApiServer, token: str | None = None, port: int = 0, collect: bool = True) -> None:
        self.core = core
        self.token = token
        self.watches: set[_Session] = set()
        self.collect = collect
        self.garbage_possible = False
        self._expected = f"Bearer {token}".encode() if token is not None else None
        self._loop = EventLoop()
        self._loop.after_iteration = self._after_iteration
        self._thread: threading.Thread | None = None
        self._listener = socket.create_server((LOOPBACK, port), backlog=512)
        self._loop.listen(self._listener, lambda connection: _Session(self, connection).begin())
        self._delivered_revision = core.revision

    @property
    def port(self) -> int:
        """The port on which the server listens."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The address of the server, without a path."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def loop(self) -> EventLoop:
        """The loop, for timers."""
        return self._loop

    def start(self) -> None:
        """Serve in a new thread."""
        self._thread = threading.Thread(target=self._loop.run, name="apiserver", daemon=True)
        self._thread.start()

    def serve(self, lifeline: int | None = None) -> None:
        """Serve in this thread, until `stop` or until the pipe `lifeline` is closed at its other end."""
        if lifeline is not None:
            self._loop.until_closed(lifeline)
        self._loop.run()

    def stop(self) -> None:
        """Stop serving and close all connections.

        Any thread or signal handler may call it, also twice.
        """
        self._loop.stop()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @property
    def kubectl_url(self) -> str:
        """The address with the token in its path, because kubectl sends no bearer token over plain HTTP."""
        return self.url if self.token is None else f"{self.url}{_TOKEN_PATH}{self.token}"

    def authorized(self, request: HttpRequest) -> str:
        """Return the request's target without the token, which is in a header or in the path; else raise a 401."""
        given, target = request.headers.get("authorization", ""), request.target
        if target.startswith(_TOKEN_PATH):
            token, slash, rest = target.removeprefix(_TOKEN_PATH).partition("/")
            given, target = f"Bearer {token}", slash + rest
        if self._expected is not None and not hmac.compare_digest(given.encode(), self._expected):
            raise errors.unauthorized()
        return target

    def _after_iteration(self) -> None:
        if self.garbage_possible and self.collect:
            self.garbage_possible = False
            self.core.collect_garbage()
        if self.core.revision != self._delivered_revision:
            self._delivered_revision = self.core.revision
            for session in list(self.watches):
                session.deliver()


class _Session:
    """Serves one connection: one request after the other, at most one watch at a time."""

    def __init__(self, server: HttpServer, connection: Connection) -> None:
        self._server = server
        self._connection = connection
        self._buffer = bytearray()
        self._watch: Subscription | None = None
        self._bookmarks = False
        self._table = False
        self._deadline = 0.0
        self._keep_alive = True

    def begin(self) -> None:
        """Receive the events of the connection."""
        self._connection.handler = self

    def received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        try:
            while self._watch is None and self._connection.open:
                request = http1.take_request(self._buffer)
                if request is None:
                    if http1.wants_continue(self._buffer):
                        self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                    return
                self._keep_alive = request.keep_alive
                self._answer(request)
                if not self._keep_alive and self._watch is None:
                    self._connection.finish()
        except http1.MalformedRequestError as problem:
            body = http1.json_bytes(errors.bad_request(str(problem)).body)
            self._connection.send(http1.answer_bytes(400, body, extra="Connection: close\r\n"))
            self._connection.finish()

    def closed(self) -> None:
        """Forget the watch of a client that has disconnected."""
        self._server.watches.discard(self)
        self._watch = None

    def _answer(self, request: HttpRequest) -> None:
        try:
            path, _, text = self._server.authorized(request).partition("?")
            query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
            target = routing.parse_path(path)
            if target is None:
                self._connection.send(discovery.answer(self._server.core, path))
                return
            if request.method == "GET" and target.name is None and options.flag(query, "watch"):
                self._open_watch(target, request, query)
                return
            if request.method not in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                raise errors.method_not_allowed(request.method)
            answer = self._server.core.handle(routing.to_request(self._server.core, target, request, query))
        except ApiError as error:
            answer = error.answer()
        self._send(answer, request)

    def _send(self, answer: Answer, request: HttpRequest) -> None:
        body = answer.body
        if answer.status == 404 and body.get("message") == errors.PAGE_NOT_FOUND:
            self._connection.send(discovery.page_not_found())
            return
        if request.method == "DELETE" or (request.method != "GET" and "deletionTimestamp" in body.get("metadata", ())):
            self._server.garbage_possible = True
        if answer.ok and "as=Table" in request.headers.get("accept", ""):
            body = as_table(self._server.core, body)
        extra = f"Retry-After: {int(answer.retry_after)}\r\n" if answer.retry_after else ""
        self._connection.send(http1.answer_bytes(answer.status, http1.json_bytes(body), extra=extra))

    def _open_watch(self, target: routing.Target, request: HttpRequest, query: dict[str, str]) -> None:
        options.check_list_query(query, watch=True)
        initial = options.flag(query, "sendInitialEvents") if query.get("sendInitialEvents") else None
        self._bookmarks = options.flag(query, "allowWatchBookmarks")
        opened = self._server.core.subscribe(
            target.resource,
            target.namespace,
            query.get("resourceVersion", ""),
            query.get("labelSelector", ""),
            query.get("fieldSelector", ""),
            self._bookmarks,
            initial,
        )
        if isinstance(opened, Answer):
            self._send(opened, request)
            return
        seconds = options.number(query, "timeoutSeconds") or random.randint(*_WATCH_SECONDS)
        self._deadline = time.monotonic() + seconds
        self._watch = opened
        self._table = "as=Table" in request.headers.get("accept", "")
        self._server.watches.add(self)
        self._connection.send(http1.stream_head())
        self.deliver()
        if self._watch is not None:
            self._server.loop.at(self._deadline, lambda: self._end(opened))
            if self._bookmarks:
                self._schedule_bookmark(opened)

    def deliver(self) -> None:
        """Send the watch's new events."""
        watch = self._watch
        if watch is None:
            return
        events = watch.poll()
        if events:
            if self._table:
                events = [{**event, "object": as_table(self._server.core, event["object"])} for event in events]
            data = b"".join(http1.json_bytes(event) + b"\n" for event in events)
            self._connection.send(http1.chunk(data))
        if self._connection.backlog > _MAX_BACKLOG:
            self._connection.close()
        elif watch.closed:
            self._end(watch)

    def _end(self, watch: Subscription) -> None:
        """End a watch whose time is over, or which has failed."""
        if self._watch is not watch:
            return
        self._server.watches.discard(self)
        self._watch = None
        self._connection.send(http1.STREAM_END)
        if not self._keep_alive:
            self._connection.finish()
        elif self._buffer:
            self.received(b"")

    def _schedule_bookmark(self, watch: Subscription) -> None:
        """Schedule a bookmark every minute and shortly before the end, as the real server does."""
        now = time.monotonic()
        moment = min(now + _BOOKMARK_SECONDS, self._deadline - _BOOKMARK_BEFORE_END_SECONDS)
        if moment <= now:
            return

        def send() -> None:
            if self._watch is watch:
                self.deliver()
                if self._server.core.revision > watch.started:  # else the client knows this revision already
                    self._connection.send(http1.chunk(http1.json_bytes(watch.bookmark()) + b"\n"))
                self._schedule_bookmark(watch)

        self._server.loop.at(moment, send)
