"""The transport for plain threads: HTTP by the standard library, one connection per thread.

A write is sent once.
Without an answer, the status is `UNKNOWN`, and `sent` is False if the request certainly was not carried out:

- the connection or the TLS handshake failed;
- the request could not be passed to the kernel completely, because a server ignores an incomplete request.

If the server gave its reason before it closed the connection, that is the answer.

Nearly always, the transport notices before the next use that the server has closed a kept connection.
If it notices only afterwards, the outcome of a write is unknown, and a read is sent again on a new connection.

Any number of threads may share one transport.
Each thread has its own connection, so that no thread waits for the answer to another.
A watch has another connection for as long as it lasts.
"""

from __future__ import annotations

import json
import math
import select
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from kubemr.locks.bearer_token import Bearer
from kubemr.locks.config import ConfigError, Server
from kubemr.locks.effects import METHODS, UNKNOWN, Answer, Json, Request, Watch, WatchEvent
from kubemr.locks.encoding import encode
from kubemr.locks.errors import StreamRefusedError
from kubemr.locks.threads import Stop

if TYPE_CHECKING:
    import ssl


class HttpTransport:
    """A `kubemr.locks.threads.Transport` to `server`.

    The constructor raises `ConfigError` if a certificate or token file cannot be used.
    """

    def __init__(self, server: Server, *, clock: Callable[[], float] = time.monotonic) -> None:
        url = urlsplit(server.url)
        try:
            port = url.port
        except ValueError as problem:
            raise ConfigError(f"apiserver address {server.url!r}: {problem}") from problem
        self._server = server
        self._clock = clock
        self._host = url.hostname or ""
        self._port = port or (443 if url.scheme == "https" else 80)
        self._prefix = url.path.rstrip("/")
        self._tls = _tls_context(server) if url.scheme == "https" else None
        self._bearer = Bearer(server.token, server.token_file)
        self._lock = threading.Lock()
        # The connection of each thread, which no other thread uses.
        # Connections of ended threads are closed when a connection is added.
        self._kept: dict[threading.Thread, HTTPConnection] = {}

    def send(self, request: Request) -> Answer:
        """Send a request and return the answer; the module's docstring says when it is repeated."""
        answer, stale = self._exchange(request)
        if stale and METHODS[request.verb] == "GET":
            answer, _ = self._exchange(request)
        return answer

    def wait(self, watch: Watch, stop: Stop | None = None) -> WatchEvent | None:
        """Return the first event except bookmarks, or None after `watch.timeout` seconds by this machine's clock."""
        with suppress(OSError, HTTPException, StreamRefusedError), closing(self.stream(watch, stop)) as events:
            for event in events:
                if event.type != "BOOKMARK":
                    return event
        return None

    def stream(self, watch: Watch, stop: Stop | None = None) -> Generator[WatchEvent, None, None]:
        """Yield all events of `watch`, bookmarks too, until the server ends it, its time is over, or `stop` is set.

        `watch.timeout` may be `math.inf`.
        An incomplete event at the end of the connection is not yielded.
        Raise `StreamRefusedError`, or OSError or `http.client.HTTPException` if the connection fails.
        """
        deadline = self._clock() + watch.timeout
        connection = self._connection(min(watch.timeout, self._server.connect_timeout))
        with ExitStack() as cleanup:
            cleanup.callback(connection.close)
            connection.connect()
            peer = connection.sock
            if stop is not None:
                cleanup.enter_context(stop.calling(lambda: _wake(peer)))
            connection.request("GET", self._watch_url(watch), headers=self._headers())
            response = connection.getresponse()
            cleanup.callback(response.close)
            if response.status != 200:
                raise StreamRefusedError(f"watching {_path(watch)}: HTTP {response.status}: {response.read()[:300]!r}")
            while stop is None or not stop.is_set():
                left = deadline - self._clock()
                if left <= 0:
                    return
                peer.settimeout(left if left < math.inf else None)
                try:
                    line = response.readline()
                except TimeoutError:
                    return
                if not line.endswith(b"\n"):
                    return  # The stream ended, perhaps inside an event.
                event = _decode(line)
                if not isinstance(event, dict):
                    raise StreamRefusedError(f"watching {_path(watch)}: {line[:300]!r} is not an event")
                yield WatchEvent(str(event.get("type")), event.get("object"))

    def close(self) -> None:
        """Close every kept connection; no thread may be in `send`.

        The next `send` opens a new connection.
        """
        with self._lock:
            kept, self._kept = self._kept, {}
        for connection in kept.values():
            connection.close()

    def __enter__(self) -> HttpTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exchange(self, request: Request) -> tuple[Answer, bool]:
        """Return the answer, and whether the request failed because the server had closed a kept connection."""
        connection = self._kept.get(threading.current_thread())
        if connection is not None and not _idle(connection.sock):
            self._drop(connection)
            connection = None
        reused = connection is not None
        if connection is None:
            connection = self._connection(request.timeout or self._server.connect_timeout)
            try:
                connection.connect()
            except (OSError, HTTPException) as problem:
                connection.close()
                return Answer(UNKNOWN, error=self._failure("connecting", problem), sent=False), False
            self._keep(connection)
        connection.sock.settimeout(request.timeout or self._server.read_timeout)
        body = None if request.body is None else encode(request.body)
        headers = self._headers() if body is None else self._headers() | {"Content-Type": request.content_type}
        url = self._url(request.path, request.query)
        try:
            connection.request(METHODS[request.verb], url, body, headers)
        except OSError as problem:
            early_answer = _early_answer(connection)
            self._drop(connection)
            if early_answer is not None:
                return early_answer, False
            return Answer(UNKNOWN, error=self._failure("sending", problem), sent=False), reused
        try:
            response = connection.getresponse()
        except (OSError, HTTPException) as problem:
            self._drop(connection)
            stale = reused and isinstance(problem, ConnectionError)
            return Answer(UNKNOWN, error=self._failure("waiting for the answer", problem)), stale
        try:
            content = response.read()
        except (OSError, HTTPException) as problem:
            self._drop(connection)
            return Answer(UNKNOWN, error=self._failure("reading the answer", problem)), False
        if response.will_close:
            self._drop(connection)
        return _answer(response.status, response.getheader("Retry-After"), content), False

    def _failure(self, doing: str, problem: Exception) -> str:
        return f"{doing} ({self._server.url}): {type(problem).__name__}: {problem}"

    def _connection(self, timeout: float) -> HTTPConnection:
        if self._tls is not None:
            return HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
        return HTTPConnection(self._host, self._port, timeout=timeout)

    def _keep(self, connection: HTTPConnection) -> None:
        with self._lock:
            ended = [thread for thread in self._kept if not thread.is_alive()]
            left = [self._kept.pop(thread) for thread in ended]
            self._kept[threading.current_thread()] = connection
        for unused in left:
            unused.close()

    def _drop(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._kept.pop(threading.current_thread(), None)
        connection.close()

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": self._server.user_agent}
        token = self._bearer.token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        return self._prefix + quote(path, safe="/:@") + ("?" + urlencode(query) if query else "")

    def _watch_url(self, watch: Watch) -> str:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": watch.resource_version,
        }
        if watch.timeout < math.inf:
            # This machine's clock decides; the server's deadline, a little later, frees the server's resources.
            query["timeoutSeconds"] = str(math.ceil(watch.timeout) + 1)
        if watch.label_selector:
            query["labelSelector"] = watch.label_selector
        if watch.field_selector:
            query["fieldSelector"] = watch.field_selector
        return self._url(_path(watch), query)


def _path(watch: Watch) -> str:
    return watch.resource.path(watch.namespace or None)


def _tls_context(server: Server) -> ssl.SSLContext:
    import ssl

    try:
        context = ssl.create_default_context(cafile=server.ca_file)
    except (OSError, ssl.SSLError) as problem:
        raise ConfigError(f"authority file {server.ca_file}: {problem}; it must hold PEM certificates") from problem
    if server.cert_file is not None:
        try:
            context.load_cert_chain(server.cert_file, server.key_file)
        except (OSError, ssl.SSLError) as problem:
            raise ConfigError(
                f"client certificate {server.cert_file} with key {server.key_file}: {problem}; both must be PEM"
            ) from problem
    return context


def _idle(peer: socket.socket) -> bool:
    """Return True unless the server closed the kept connection, or sent data without a request."""
    poll = select.poll()  # Unlike select.select, it accepts any file descriptor.
    poll.register(peer, select.POLLIN)
    return not poll.poll(0)


def _early_answer(connection: HTTPConnection) -> Answer | None:
    """Return the answer of a server that closed the connection before it read the whole request, e.g. a 413."""
    try:
        response = connection.getresponse()
        return _answer(response.status, response.getheader("Retry-After"), response.read())
    except (OSError, HTTPException):
        return None


def _wake(peer: socket.socket) -> None:
    """End the read of another thread from `peer`, below TLS: a TLS shutdown must not run in another thread."""
    with suppress(OSError):
        socket.socket.shutdown(peer, socket.SHUT_RDWR)


def _decode(content: bytes) -> Json:
    """Return the JSON document, or None if `content` is not JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def _answer(status: int, retry_after: str | None, content: bytes) -> Answer:
    wait = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    body = _decode(content)
    if body is not None:
        return Answer(status, body, retry_after=wait)
    text = content[:300].decode("utf-8", "replace").strip()
    if 200 <= status < 300:
        # An apiserver does not answer so: a proxy or portal answered in its place.
        return Answer(UNKNOWN, error=f"HTTP {status}, but the body is not JSON: {text!r}")
    return Answer(status, error=text)
