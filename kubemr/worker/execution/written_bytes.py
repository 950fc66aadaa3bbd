"""Has the child printed anything?  Told by the child itself, exactly, although the parent is reading its pipes.

Of each pipe, what was ever written into it is what still is in it and what the parent has taken out.  The
parent counts that in memory that both see, once before it takes something and once after.  Where the two are
the same, before and after the child has asked what is in the pipe, nothing was under way: then the sum is
exact.  Else it cannot be told, and is taken for printed: that costs a moment, and no more.
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
    """How many bytes the parent has taken from each pipe; the file at `path` is the memory that both see."""

    @staticmethod
    def make(path: str) -> None:
        """The file.  It is written, as a hole in it would kill whoever finds the disk full when he fills it."""
        with open(path, "xb") as file:
            file.write(bytes(_BYTES))

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            counts = memoryview(mmap.mmap(descriptor, _BYTES)).cast("Q")
        finally:
            os.close(descriptor)
        self.begun, self.done = counts[:_STREAMS], counts[_STREAMS:]


class ReadCounter:
    """The parent's side of one pipe, for the thread that reads it."""

    def __init__(self, taken: ReadCounters, stream: int) -> None:
        self._counters = taken
        self._stream = stream

    def begin(self, count: int) -> None:
        """So many bytes are taken next."""
        self._counters.begun[self._stream] += count

    def end(self) -> None:
        """They have been taken."""
        self._counters.done[self._stream] = self._counters.begun[self._stream]


class WrittenBytes:
    """The child's view.  `pipes` are its own descriptors of the ends that are written to, in the order of streams."""

    def __init__(self, taken: ReadCounters, pipes: Sequence[int]) -> None:
        self._counters = taken
        self._pipes = pipes
        self._answer = array.array("i", [0])
        self._before = self._written()

    def more(self) -> bool:
        """Whether anything was printed since this was asked last; True where it cannot be told."""
        now = self._written()
        before, self._before = self._before, now
        return now is None or now != before

    def _written(self) -> int | None:
        """Bytes that were ever written; None where it cannot be told."""
        if sys.platform != "linux":
            return None  # Elsewhere the writing end may not tell.
        total = 0
        for stream, pipe in enumerate(self._pipes):
            done = self._counters.done[stream]
            try:
                fcntl.ioctl(pipe, termios.FIONREAD, self._answer)
            except OSError:  # User code has closed it.
                return None
            if self._counters.begun[stream] != done:
                return None
            total += done + self._answer[0]
        return total


def waiting(pipe: int) -> int:
    """How many bytes are in a pipe."""
    answer = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, answer)
    return answer[0]
