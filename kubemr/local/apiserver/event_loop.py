"""Serve many connections by one thread: a `selectors` loop with timers.

It does not import asyncio, which would delay the start of local mode.  The core needs no lock, as it would with
threads.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import selectors
import socket
import time
from collections.abc import Callable
from typing import Protocol

_READ = 64 * 1024


class Handler(Protocol):
    """Receives the events of a connection."""

    def received(self, data: bytes) -> None:
        """Process bytes that have arrived."""

    def closed(self) -> None:
        """Release what belongs to the connection, which the client or an error has closed."""


class Connection:
    """A socket with a buffer for bytes that it cannot send at once."""

    def __init__(self, loop: EventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock
        self._out = bytearray()
        self._closing = False
        self.handler: Handler | None = None
        self.open = True

    def send(self, data: bytes) -> None:
        """Send as many bytes as possible now, and the rest when the socket is ready."""
        if not self.open:
            return
        if not self._out:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close()
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.watch(self, self._sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        self._out += data

    @property
    def backlog(self) -> int:
        """The number of bytes that are not sent yet."""
        return len(self._out)

    def finish(self) -> None:
        """Close when everything is sent."""
        self._closing = True
        if not self._out:
            self.close()

    def close(self) -> None:
        """Close at once."""
        if self.open:
            self.open = False
            self._loop.forget(self._sock)
            self._sock.close()
            if self.handler is not None:
                self.handler.closed()

    def ready(self, mask: int) -> None:
        """Read or write the socket, as `mask` says."""
        if mask & selectors.EVENT_WRITE:
            self._flush()
        if self.open and mask & selectors.EVENT_READ:
            self._receive()

    def _flush(self) -> None:
        try:
            sent = self._sock.send(self._out)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        del self._out[:sent]
        if not self._out:
            self._loop.watch(self, self._sock, selectors.EVENT_READ)
            if self._closing:
                self.close()

    def _receive(self) -> None:
        try:
            data = self._sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
        elif self.handler is not None:
            self.handler.received(data)


class EventLoop:
    """Runs handlers until `stop`.  Only `stop` may be called from another thread or a signal handler."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._stopping = False
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._drain_wakeup)
        self.after_iteration: Callable[[], None] = lambda: None

    def _drain_wakeup(self, _mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_read.recv(_READ)

    def listen(self, sock: socket.socket, accepted: Callable[[Connection], None]) -> None:
        """Accept connections on a listening socket."""

        def ready(_mask: int) -> None:
            try:
                client, _ = sock.accept()
            except OSError:
                return  # the client disconnected before it was accepted
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, client)
            self._selector.register(client, selectors.EVENT_READ, connection.ready)
            accepted(connection)

        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ, ready)

    def until_closed(self, descriptor: int) -> None:
        """Stop when the other end of this pipe is closed, because the process that holds it has ended."""

        def ready(_mask: int) -> None:
            if not os.read(descriptor, _READ):
                self._selector.unregister(descriptor)
                self._stopping = True

        self._selector.register(descriptor, selectors.EVENT_READ, ready)

    def watch(self, connection: Connection, sock: socket.socket, events: int) -> None:
        """Change the events for which the loop waits on a connection."""
        self._selector.modify(sock, events, connection.ready)

    def forget(self, sock: socket.socket) -> None:
        """Stop waiting for a socket."""
        self._selector.unregister(sock)

    def at(self, moment: float, run: Callable[[], None]) -> None:
        """Call `run` at a time of `time.monotonic`."""
        heapq.heappush(self._timers, (moment, next(self._order), run))

    def run(self) -> None:
        """Serve until `stop` is called, then close everything."""
        try:
            while not self._stopping:
                wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
                for key, mask in self._selector.select(wait):
                    if key.fileobj in self._selector.get_map():
                        key.data(mask)
                while self._timers and self._timers[0][0] <= time.monotonic():
                    heapq.heappop(self._timers)[2]()
                self.after_iteration()
        finally:
            for key in list(self._selector.get_map().values()):
                if isinstance(key.fileobj, socket.socket):
                    key.fileobj.close()
            self._wake_write.close()
            self._selector.close()

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._wake_write.send(b"x")
