"""The wire between the runtime and the process that runs user code.

A stream socket carries frames: four bytes, the length in big-endian order, then a JSON object.  The
parent sends one `hello` (the job), then `task`s, the next only after the answer to the one before.  The
child sends `ready` or `broken` once, then per task any number of `progress` and one `result`.  Every
message of a task repeats its `seq`, so that one from a process that user code forked is told apart.

User code never sees the socket: it prints to pipes of its own, and the socket is closed in whatever
program it starts.  Should it write into it all the same, the parent finds no frame there and says so.
"""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, Final, TypeAlias

Message: TypeAlias = dict[str, Any]
"""A decoded frame: a JSON object with a `type`."""

LONGEST: Final = 1 << 30
"""No frame is longer than this many bytes: a larger length is not one that we wrote."""
_HEADER: Final = 4


class BadFrame(Exception):
    """The bytes on the channel are none of ours."""


def encode(message: Message) -> bytes:
    """One frame.  JSON in ASCII, so that any Python string survives, lone surrogates too."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return len(body).to_bytes(_HEADER, "big") + body


class Decoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with `data`.  Raises `BadFrame`."""
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        while len(buffer) >= _HEADER:
            length = int.from_bytes(buffer[:_HEADER], "big")
            if length > LONGEST:
                raise BadFrame(f"a frame of {length} bytes, beginning with {bytes(buffer[:40])!r}")
            end = _HEADER + length
            if len(buffer) < end:
                break
            body = bytes(buffer[_HEADER:end])
            del buffer[:end]
            messages.append(_decode(body))
        return messages


def _decode(body: bytes) -> Message:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise BadFrame(f"no JSON in a frame beginning with {body[:40]!r}") from error
    if not isinstance(message, dict) or "type" not in message:
        raise BadFrame(f"a frame without a type, beginning with {body[:40]!r}")
    return message


class Channel:
    """The child's end: blocking, and safe to send on from any thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._decoder = Decoder()
        self._received: list[Message] = []
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Send a whole frame.  Raises `OSError` when the parent is gone."""
        with self._sending:
            self._socket.sendall(encode(message))

    def receive(self) -> Message | None:
        """The next message, or None when the parent has closed its end or is dead."""
        while not self._received:
            try:
                data = self._socket.recv(1 << 16)
            except ConnectionError:
                return None
            if not data:
                return None
            self._received = self._decoder.feed(data)
        return self._received.pop(0)
