"""Web servers on loopback for tests of storage: one that serves a directory, and one that answers by a script.

The second is for what a real server cannot be made to show: an answer of 503 and then a good one, a connection that
breaks off within a body, a disk that is full.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

Step: TypeAlias = "Callable[[Exchange], None]"


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer; the connection is closed after it."""

    web: WebServer

    def setup(self) -> None:
        """A client that says nothing is not waited for."""
        self.request.settimeout(20)
        super().setup()

    def handle_any(self) -> None:
        """Read the body and let the server answer."""
        self.sent_body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.web.requests.append((self.command, self.path, dict(self.headers.items())))
        self.web.answer(self)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any

    def answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, sent: int | None = None
    ) -> None:
        """Answer; with `sent`, break off after that many bytes of the body."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The time by the server's clock, for the header `Date`."""
        return super().date_time_string((time.time() if timestamp is None else timestamp) + self.web.ahead)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


class WebServer:
    """A server that runs from `with` to its end; `requests` are (method, path, headers) in the order of arrival.

    Its clock is so many seconds `ahead` of this machine's.
    """

    def __init__(self) -> None:
        self.ahead = 0.0
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        outer = self

        class Handler(Exchange):
            web = outer

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def use_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from the next connection on."""
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)

    def answer(self, exchange: Exchange) -> None:
        """Answer one request."""
        raise NotImplementedError

    def __enter__(self) -> WebServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class FileServer(WebServer):
    """Serves the files of a directory, with ranges, ETags and If-Match."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def answer(self, exchange: Exchange) -> None:
        """GET and HEAD."""
        file = self.root / unquote(urlsplit(exchange.path).path).lstrip("/")
        if exchange.command not in ("GET", "HEAD"):
            exchange.answer(405)
        elif not file.is_file():
            exchange.answer(404)
        else:
            serve(exchange, file.read_bytes())


class ScriptedServer(WebServer):
    """Answers the first request by the first step of `script`, and so on; a request too many is answered by 418."""

    def __init__(self, *script: Step) -> None:
        super().__init__()
        self._script = list(script)
        self._lock = threading.Lock()

    def answer(self, exchange: Exchange) -> None:
        """Take the next step."""
        with self._lock:
            step = self._script.pop(0) if self._script else respond(418)
        step(exchange)

    @property
    def left(self) -> int:
        """How many steps nobody asked for."""
        return len(self._script)


def etag(data: bytes) -> str:
    """A strong ETag."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def serve(exchange: Exchange, data: bytes, sent: int | None = None, headers: dict[str, str] | None = None) -> None:
    """Answer as a web server that knows ranges and versions; with `sent`, break off after so many bytes."""
    headers = {"ETag": etag(data), **(headers or {})}
    if exchange.headers.get("If-Match") not in (None, headers["ETag"]):
        exchange.answer(412)
        return
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", exchange.headers.get("Range") or "")
    if asked is None:
        exchange.answer(200, data, headers, sent)
        return
    first, last = int(asked[1]), int(asked[2] or len(data))
    if first >= len(data):
        exchange.answer(416)
        return
    body = data[first : last + 1]
    headers["Content-Range"] = f"bytes {first}-{first + len(body) - 1}/{len(data)}"
    exchange.answer(206, body, headers, sent)


def serving(data: bytes, sent: int | None = None, headers: dict[str, str] | None = None) -> Step:
    """A step that serves `data`."""
    return lambda exchange: serve(exchange, data, sent, headers)


def respond(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Step:
    """A step that answers by a status."""
    return lambda exchange: exchange.answer(status, body, headers)


def s3_error(status: int, code: str, headers: dict[str, str] | None = None) -> Step:
    """A step that answers as S3 does when it refuses."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>told by {code}</Message></Error>".encode()
    return respond(status, body, {"Content-Type": "application/xml", **(headers or {})})


def reset(exchange: Exchange) -> None:
    """A step that resets the connection without an answer."""
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.connection.shutdown(socket.SHUT_RD)
    exchange.close_connection = True
    exchange.wfile.close()
    exchange.rfile.close()
    exchange.connection.close()
