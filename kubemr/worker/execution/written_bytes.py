"""Whether the child has printed anything, which the child computes exactly while the parent reads its pipes.

The number of bytes ever written to a pipe is the number of bytes in it plus the number that the parent has read.
The parent counts what it reads in shared memory, once before each read and once after it.
If both counts are equal when the child asks how much the pipe holds, no read was in progress, and the sum is exact.
Otherwise the sum is unknown, and the child assumes that something was printed, which costs only a little time.
"""

from __future__ import annotations

import array
import fcntl
import mmap
import os
import sys
import termios
from collections.abc import Sequence
from typing import Final

_STREAMS: Final = 2
_BYTES: Final = 2 * 8 * _STREAMS


class ReadCounters:
    """How many bytes the parent has read from each pipe; the file at `path` is the shared memory."""

    @staticmethod
    def create(path: str) -> None:
        """Create the file and write all its bytes: filling a hole on a full disk would kill the writing process."""
        with open(path, "xb") as file:
            file.write(bytes(_BYTES))

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            counts = memoryview(mmap.mmap(descriptor, _BYTES)).cast("Q")
        finally:
            os.close(descriptor)
        self.before, self.after = counts[:_STREAMS], counts[_STREAMS:]


class ReadCounter:
    """The counter of one pipe, for the parent's thread that reads the pipe."""

    def __init__(self, counters: ReadCounters, stream: int) -> None:
        self._counters = counters
        self._stream = stream

    def before_read(self, count: int) -> None:
        """Count `count` bytes as about to be read."""
        self._counters.before[self._stream] += count

    def after_read(self) -> None:
        """Count the same bytes as read."""
        self._counters.after[self._stream] = self._counters.before[self._stream]


class WrittenBytes:
    """The child's view; `pipes` are its descriptors of stdout and stderr."""

    def __init__(self, counters: ReadCounters, pipes: Sequence[int]) -> None:
        self._counters = counters
        self._pipes = pipes
        self._available = array.array("i", [0])
        self._last_total = self._total()

    def has_grown(self) -> bool:
        """Return whether anything was printed since the last call; True also if that is unknown."""
        total = self._total()
        before, self._last_total = self._last_total, total
        return total is None or total != before

    def _total(self) -> int | None:
        """Return the number of bytes ever written; None if it is unknown."""
        if sys.platform != "linux":
            return None  # On other systems the writing end may not know.
        total = 0
        for stream, pipe in enumerate(self._pipes):
            read = self._counters.after[stream]
            try:
                fcntl.ioctl(pipe, termios.FIONREAD, self._available)
            except OSError:  # User code has closed the descriptor.
                return None
            if self._counters.before[stream] != read:
                return None
            total += read + self._available[0]
        return total


def bytes_in_pipe(pipe: int) -> int:
    """Return how many bytes are in a pipe."""
    available = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, available)
    return available[0]
