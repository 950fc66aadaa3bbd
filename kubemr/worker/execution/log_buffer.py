"""What the attempt that is running has printed: the beginning and the end of it, in little memory.

Both streams of the child go in, each in its own order, and nearly so in the order of both; lines of one are not cut in
two by the other.  Of the bytes that are kept one half is the beginning, where the configuration is, and one half the
end, where the trouble is; a line between the two says how much is left out.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from kubemr.coordination.attempt_records import AttemptLog, shortened, whole_line
from kubemr.coordination.timestamps import milli_timestamp
from kubemr.worker.assignment import Assignment

_LONG_LINE: Final = 1 << 14
"""A line that has grown to so many bytes is not waited for any more."""


class LogBuffer:
    """Keeps at most `bound` bytes; 0: none.  Every method is safe in any thread."""

    def __init__(self, bound: int) -> None:
        self._first = bound - bound // 2
        self._last = bound // 2
        self._lock = threading.Lock()
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0
        self._lines: dict[str, bytes] = {}  # what came of a line, by stream
        self._attempt: Assignment | None = None
        self._began = 0.0

    def begin(self, attempt: Assignment) -> None:
        """What comes from now on is the attempt's."""
        with self._lock:
            self._attempt = attempt
            self._began = time.time()
            self._lines.clear()
            if self._total:
                self._head.clear()
                self._tail.clear()
                self._total = 0

    def go_on(self, attempt: Assignment) -> None:
        """The attempt before printed nothing: all that has come since it began is this one's."""
        with self._lock:
            self._attempt = attempt
            self._began = time.time()

    def add(self, stream: str, data: bytes) -> None:
        """Take note of what was printed to one of the streams."""
        with self._lock:
            data = self._lines.pop(stream, b"") + data
            end = data.rfind(b"\n") + 1
            if len(data) - end < _LONG_LINE:
                data, self._lines[stream] = data[:end], data[end:]
            self._add(data)

    def _add(self, data: bytes) -> None:
        self._total += len(data)
        room = self._first - len(self._head)
        if room:
            self._head += data[:room]
            data = data[room:]
        self._tail += data[-self._last :] if self._last else b""
        if len(self._tail) > 2 * self._last:
            del self._tail[: -self._last]

    def kept(self) -> bytes:
        """What is kept of it."""
        with self._lock:
            return self._kept()

    def current(self) -> tuple[Assignment, bytes] | None:
        """The attempt that has begun and its log (`log.txt`) as it would be now; None when it printed nothing."""
        with self._lock:
            printed = self._kept()
            if self._attempt is None or not printed:
                return None
            log = AttemptLog(str(self._attempt), printed, milli_timestamp(self._began))
            return self._attempt, log.encode()

    def _kept(self) -> bytes:
        for line in self._lines.values():
            self._add(line)
        self._lines.clear()
        head, tail = bytes(self._head), bytes(self._tail[-self._last :] if self._last else b"")
        if len(head) + len(tail) == self._total:
            return head + tail
        if not self._first:
            return b""
        # Whole lines on both sides of the gap, where there are lines.
        head = head[: head.rfind(b"\n") + 1] or head
        tail = tail[tail.find(b"\n") + 1 :] or tail
        return whole_line(head) + shortened(self._total - len(head) - len(tail)) + tail
