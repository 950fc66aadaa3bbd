"""A server that does with each connection what a function says: for what a correct HTTP server never does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

Behaviour = Callable[[socket.socket], None]


class RawServer:
    """Connection *n* is given to `behaviours[n]` (the last one serves all that follow), in a thread of its own."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self._behaviours = behaviours
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            behaviour = self._behaviours[min(self.connections, len(self._behaviours) - 1)]
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(behaviour, peer), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, behaviour: Behaviour, peer: socket.socket) -> None:
        with peer, suppress(OSError):
            behaviour(peer)

    def close(self) -> None:
        """Stop listening and wait for the connections to end."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


def read_request(peer: socket.socket) -> bytes:
    """One HTTP request with its body; empty when the client is gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = peer.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += peer.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    """An HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def serving(*answers: bytes) -> Behaviour:
    """Answer that many requests, then close the connection."""

    def behave(peer: socket.socket) -> None:
        for answer in answers:
            if not read_request(peer):
                return
            peer.sendall(answer)

    return behave


def until_client_leaves(peer: socket.socket) -> None:
    """Read on until the client closes."""
    while peer.recv(65536):
        pass
