"""A TCP proxy on loopback that can lose an answer after the server has carried the request out.

It passes bytes on and looks into none, so TLS goes through it.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class LossyProxy:
    """Forwards `url` (its own address) to `host:port`."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._stop = threading.Event()
        self._lose = threading.Event()
        self.lost = 0
        """How many answers were lost."""
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def lose_next_answer(self) -> None:
        """The next bytes that the server sends are dropped and their connection is cut."""
        self._lose.set()

    def close(self) -> None:
        """End all connections."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._forward, args=(client,)))
                self._threads[-1].start()

    def _forward(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._upstream) as server, suppress(OSError):
            while not self._stop.is_set():
                readable, _, _ = select.select([client, server], [], [], 0.05)
                if client in readable:
                    data = client.recv(65536)
                    if not data:
                        return
                    server.sendall(data)
                if server in readable:
                    data = server.recv(65536)
                    if not data:
                        return
                    if self._lose.is_set():
                        self._lose.clear()
                        self.lost += 1
                        return
                    client.sendall(data)


@contextmanager
def lossy_proxy(url: str) -> Iterator[LossyProxy]:
    """One in front of the server at `url`, for the block."""
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    proxy = LossyProxy(address.hostname, address.port)
    try:
        yield proxy
    finally:
        proxy.close()
