"""The wire between the runtime and the process that runs user code.

A stream socket carries frames: a header and a body in JSON, which may be missing.  The parent sends one
`hello` (the job), then `tasks`, each time one or several.  The child sends `ready` or `broken` once, then per task any
number of `progress` and one of `done`, `empty` and `failed`.  Every frame of a task repeats its number, so that one
from a process that user code forked is told apart.

A task that was sent has not begun: the child takes a *turn* for it first, eight bytes from a second socket
that hold the task's number.  The parent can read that socket's same end, and what it finds there are tasks
that the child has not begun and never will.  So the child can be given several tasks at once, and each is
either with the child or taken back, never both.

When a task has printed something, the answer says so, and the child waits for a `go`: whatever is in the
pipes then belongs to that task.

User code never sees the sockets: it prints to pipes of its own, and they are closed in whatever program it
starts.  Should it write into them all the same, the parent finds no frame there and says so.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

Kind = Literal["hello", "tasks", "go", "ready", "broken", "progress", "done", "empty", "failed"]

LONGEST: Final = 1 << 30
"""No body is longer than this many bytes: a larger length is not one that we wrote."""
PERMIT_BYTES: Final = 8
_HEADER: Final = struct.Struct(">BBQI")
"""The mark, the kind, the number of the task, the length of the body."""
_MARK: Final = 0xFF
"""A byte that is in no text in UTF-8."""
_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_NUMBERS: Final = {kind: number for number, kind in enumerate(_KINDS)}


class Message(NamedTuple):
    """A decoded frame.  `seq` is the number of the task, 0 where there is none; `body` is None where there is none."""

    kind: Kind
    seq: int
    body: Any


Task = Sequence[Any]
"""A task as it is sent: its number, then what an `Assignment` is made of."""


class InvalidFrameError(Exception):
    """The bytes on the channel are none of ours.  `before` are the messages that came before them."""

    def __init__(self, why: str, before: Sequence[Message]) -> None:
        super().__init__(why)
        self.before = before


def encode(kind: Kind, seq: int = 0, body: object = None) -> bytes:
    """One frame.  JSON in ASCII, so that any Python string survives, lone surrogates too."""
    # A number in JSON is its `repr`, and most answers are but one: the encoder takes far longer to get going.
    text = "" if body is None else repr(body) if type(body) is float else json.dumps(body)
    data = text.encode("ascii")
    return _HEADER.pack(_MARK, _NUMBERS[kind], seq, len(data)) + data


class Decoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with `data`.  Raises `InvalidFrameError`."""
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        start = 0
        while start < len(buffer):
            body = start + _HEADER.size
            complete = body <= len(buffer)
            mark, number, seq, length = _HEADER.unpack_from(buffer, start) if complete else (buffer[start], 0, 0, 0)
            if mark != _MARK or number >= len(_KINDS) or length > LONGEST:
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
    """The child's end: blocking, and safe to send on from any thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._decoder = Decoder()
        self._received: list[Message] = []
        self._sending = threading.Lock()

    def send(self, kind: Kind, seq: int = 0, body: object = None) -> None:
        """Send a whole frame.  Raises `OSError` when the parent is gone."""
        with self._sending:
            self._socket.sendall(encode(kind, seq, body))

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


class StartPermits:
    """The child's end of tasks: each with its turn, in order."""

    def __init__(self, channel: Channel, turns: socket.socket) -> None:
        self._channel = channel
        self._permits = turns
        self._tasks: deque[Task] = deque()

    def next(self) -> Task | None:
        """The next task, which has begun with this call; None when the parent wants no more or is dead."""
        try:
            turn = self._permits.recv(PERMIT_BYTES)
        except ConnectionError:
            return None
        seq = int.from_bytes(turn, "big")
        while turn:
            while not self._tasks:
                message = self._channel.receive()
                if message is None:
                    return None
                self._tasks += message.body
            task = self._tasks.popleft()
            if task[0] == seq:
                return task
            # That one was taken back.
        return None

    def wait_for_go(self) -> bool:
        """Wait until the parent has all that was printed; False when it is gone."""
        while (message := self._channel.receive()) is not None:
            if message.kind == "go":
                return True
            self._tasks += message.body
        return False
