"""What the running attempt has printed: the beginning and the end of it, in bounded memory.

Both streams of the child are added, each in its own order, and almost in the order of both.
A line of one stream is never split by the other stream.
One half of the kept bytes is the beginning, which usually shows the configuration, and one half is the end, which
usually shows the error.
A line between the halves says how many bytes are left out.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from kubemr.coordination.attempt_records import AttemptLog, shortened, whole_line
from kubemr.coordination.timestamps import milli_timestamp
from kubemr.worker.assignment import Assignment

_MAX_LINE_BYTES: Final = 1 << 14
"""A longer line is added before its end has arrived."""


class LogBuffer:
    """Keeps at most `max_bytes` bytes.  Every method is safe in any thread."""

    def __init__(self, max_bytes: int) -> None:
        self._head_bytes = max_bytes - max_bytes // 2
        self._tail_bytes = max_bytes // 2
        self._lock = threading.Lock()
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0
        self._lines: dict[str, bytes] = {}  # the incomplete last line of each stream
        self._attempt: Assignment | None = None
        self._began_at = 0.0

    def begin_attempt(self, attempt: Assignment) -> None:
        """Clear the buffer; output from now on belongs to this attempt."""
        with self._lock:
            self._attempt = attempt
            self._began_at = time.time()
            self._lines.clear()
            if self._total:
                self._head.clear()
                self._tail.clear()
                self._total = 0

    def relabel(self, attempt: Assignment) -> None:
        """Assign the content to this attempt, because the previous one printed nothing."""
        with self._lock:
            self._attempt = attempt
            self._began_at = time.time()

    def add(self, stream: str, data: bytes) -> None:
        """Add output of one of the streams."""
        with self._lock:
            data = self._lines.pop(stream, b"") + data
            end = data.rfind(b"\n") + 1
            if len(data) - end < _MAX_LINE_BYTES:
                data, self._lines[stream] = data[:end], data[end:]
            self._add(data)

    def _add(self, data: bytes) -> None:
        self._total += len(data)
        room = self._head_bytes - len(self._head)
        if room:
            self._head += data[:room]
            data = data[room:]
        self._tail += data[-self._tail_bytes :] if self._tail_bytes else b""
        if len(self._tail) > 2 * self._tail_bytes:
            del self._tail[: -self._tail_bytes]

    def content(self) -> bytes:
        """Return the kept bytes, and between beginning and end the line that counts what is left out."""
        with self._lock:
            return self._content()

    def current_log(self) -> tuple[Assignment, bytes] | None:
        """Return the attempt and its log (`log.txt`) so far; None if it has printed nothing."""
        with self._lock:
            printed = self._content()
            if self._attempt is None or not printed:
                return None
            log = AttemptLog(str(self._attempt), printed, milli_timestamp(self._began_at))
            return self._attempt, log.encode()

    def _content(self) -> bytes:
        for line in self._lines.values():
            self._add(line)
        self._lines.clear()
        head, tail = bytes(self._head), bytes(self._tail[-self._tail_bytes :] if self._tail_bytes else b"")
        if len(head) + len(tail) == self._total:
            return head + tail
        if not self._head_bytes:
            return b""
        # If there are lines, cut only between them.
        head = head[: head.rfind(b"\n") + 1] or head
        tail = tail[tail.find(b"\n") + 1 :] or tail
        return whole_line(head) + shortened(self._total - len(head) - len(tail)) + tail
