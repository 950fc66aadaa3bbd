"""The inputs of a job whose workers are checked: who asked for which, and some that are answered only when told."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 40.0
"""Seconds that anything may take."""


class Inputs:
    """A web server with the inputs of a job.  An input of `hold` is not answered before `let_go`."""

    def __init__(self, news: threading.Condition) -> None:
        self.contents: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self._held: dict[str, threading.Event] = {}
        self._news = news
        inputs = self

        class Handler(BaseHTTPRequestHandler):
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                inputs.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def url(self, name: str) -> str:
        """The address of an input."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}"

    def hold(self, *held: str) -> None:
        """Whoever asks for these has to wait."""
        self._held.update({name: threading.Event() for name in held})

    def let_go(self, *held: str) -> None:
        """Answer, from now on."""
        for name in held or self._held:
            self._held[name].set()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        name = handler.path[1:]
        with self._news:
            self.asked[name] += 1
            self._news.notify_all()
        if name in self._held:
            self._held[name].wait(PATIENCE)
        with suppress(OSError):
            content = self.contents.get(name)
            handler.send_response(404 if content is None else 200)
            handler.send_header("Content-Length", str(len(content or b"")))
            handler.end_headers()
            handler.wfile.write(content or b"")

    def stop(self) -> None:
        """End it."""
        self.let_go()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
