"""The IPC channel between the worker process (the parent) and the process that runs user code (the child).

A stream socket carries frames: a header, and a body in JSON, which may be missing.

==========================================  ======================================================================
the parent sends                            the child answers
==========================================  ======================================================================
one `hello`: the job                        `ready`, or `start_failed` if `worker_init` raised
`tasks`: one or several                     per task any number of `progress`, then `done`, `empty` or `failed`
`continue`                                  starts the next task, which waited because something was printed
==========================================  ======================================================================

Every frame about a task repeats the task's number.
So the parent recognizes, and ignores, a frame of a process that user code forked.

A task that was sent has not begun.
Before it begins, the child receives a start permit from a second socket: eight bytes that hold the task's number.
The parent can read from the same end of that socket.
A permit that the parent reads there belongs to a task that the child has not begun and never will.
So the child can hold several tasks, and each is either run by the child or recalled by the parent, never both.

If a task printed something, its answer says so, and the child waits for `continue`.
Until then, everything in the pipes of stdout and stderr belongs to that task.

User code does not know the sockets: it prints to other pipes, and programs that it starts do not inherit the sockets.
If it writes to them anyway, the parent finds an invalid frame and reports that.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

MessageKind = Literal["hello", "tasks", "continue", "ready", "start_failed", "progress", "done", "empty", "failed"]

MAX_BODY_BYTES: Final = 1 << 30
"""The longest body.  A header with a larger length was not written by this module."""
PERMIT_BYTES: Final = 8
_HEADER: Final = struct.Struct(">BBQI")
"""The magic byte, the kind, the number of the task, the length of the body."""
_MAGIC: Final = 0xFF
"""A byte that no text in UTF-8 contains."""
_KINDS: Final[tuple[MessageKind, ...]] = get_args(MessageKind)
_NUMBERS: Final = {kind: number for number, kind in enumerate(_KINDS)}


class Message(NamedTuple):
    """A decoded frame.  `seq` is the number of the task, or 0 without a task; `body` is None if it is missing."""

    kind: MessageKind
    seq: int
    body: Any


EncodedTask = Sequence[Any]
"""A task as it is sent: its number, then the fields of an `Assignment`."""


class InvalidFrameError(Exception):
    """The channel contains bytes that are not a frame.  `before` holds the messages that came before them."""

    def __init__(self, why: str, before: Sequence[Message]) -> None:
        super().__init__(why)
        self.before = before


def encode(kind: MessageKind, seq: int = 0, body: object = None) -> bytes:
    """Return one frame.  The JSON is in ASCII, so that any Python string survives, even with lone surrogates."""
    # In JSON a number is its `repr`, and most answers are only a number: calling the encoder would take far longer.
    text = "" if body is None else repr(body) if type(body) is float else json.dumps(body)
    data = text.encode("ascii")
    return _HEADER.pack(_MAGIC, _NUMBERS[kind], seq, len(data)) + data


class Decoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that `data` completes.  Raise `InvalidFrameError` if it is not a frame."""
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        start = 0
        while start < len(buffer):
            body = start + _HEADER.size
            complete = body <= len(buffer)
            magic, number, seq, length = _HEADER.unpack_from(buffer, start) if complete else (buffer[start], 0, 0, 0)
            if magic != _MAGIC or number >= len(_KINDS) or length > MAX_BODY_BYTES:
                raise InvalidFrameError(f"no frame, beginning with {bytes(buffer[start : start + 40])!r}", messages)
            if not complete or body + length > len(buffer):
                break
            start = body + length
            try:
                content = json.loads(buffer[body:start].decode("ascii")) if length else None
            except ValueError as error:
                why = f"no JSON in a frame beginning with {bytes(buffer[body : body + 40])!r}"
                raise InvalidFrameError(why, messages) from error
            messages.append(Message(_KINDS[number], seq, content))
        del buffer[:start]
        return messages


class Channel:
    """The child's end of the channel.  It blocks, and any thread may send."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._decoder = Decoder()
        self._received: list[Message] = []
        self._sending = threading.Lock()

    def send(self, kind: MessageKind, seq: int = 0, body: object = None) -> None:
        """Send a whole frame.  Raise `OSError` if the parent has ended."""
        with self._sending:
            self._socket.sendall(encode(kind, seq, body))

    def receive(self) -> Message | None:
        """Return the next message, or None if the parent has closed its end or died."""
        while not self._received:
            try:
                data = self._socket.recv(1 << 16)
            except ConnectionError:
                return None
            if not data:
                return None
            self._received = self._decoder.feed(data)
        return self._received.pop(0)


class StartPermits:
    """The tasks that the child may start, in order: each needs a permit from the second socket."""

    def __init__(self, channel: Channel, permits: socket.socket) -> None:
        self._channel = channel
        self._permits = permits
        self._tasks: deque[EncodedTask] = deque()

    def next_task(self) -> EncodedTask | None:
        """Return the next task, which this call begins; None if the parent sends no more tasks or died."""
        try:
            permit = self._permits.recv(PERMIT_BYTES)
        except ConnectionError:
            return None
        seq = int.from_bytes(permit, "big")
        while permit:
            while not self._tasks:
                message = self._channel.receive()
                if message is None:
                    return None
                self._tasks += message.body
            task = self._tasks.popleft()
            if task[0] == seq:
                return task
            # The parent has recalled this task.
        return None

    def wait_for_continue(self) -> bool:
        """Wait until the parent has read everything that was printed; return False if the parent has ended."""
        while (message := self._channel.receive()) is not None:
            if message.kind == "continue":
                return True
            self._tasks += message.body
        return False
