"""Read an object as a stream that resumes where the connection broke off.

A long read over a network breaks now and then.  Then the stream requests the rest by range, in the version (the ETag)
with which it began.  So it returns one version of the object, or fails.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

from attr import frozen

from kubemr.storage.errors import TransientError
from kubemr.storage.retry import Retrier

BUFFER: int = 256 * 1024
"""Bytes of memory per open stream.  Larger reads bypass the buffer."""

READ_SIZE: int = 1024 * 1024
"""How many bytes are requested from a connection at once when all is read."""


@frozen
class Body:
    """The answer of a server that delivers an object from some offset on.

    - `read` returns at most the given number of bytes, none at the end.  It raises `TransientError` if the connection
      breaks.
    - `version` identifies the version; None if the server does not report it, and then the read cannot be resumed.
    - `end` is the offset in the object after the last delivered byte; None if the server does not report it.
    """

    read: Callable[[int], bytes]
    close: Callable[[], None]
    version: str | None
    end: int | None


class ResumingReader(io.RawIOBase):
    """The object from offset `start` to its end.

    `open_body(offset, version)` requests the object from `offset` on, in that version unless it is None.  `broken()`
    returns the error for a connection that ended before the object did.
    """

    def __init__(
        self,
        open_body: Callable[[int, str | None], Body],
        broken: Callable[[str], TransientError],
        retrier: Retrier,
        start: int = 0,
    ) -> None:
        super().__init__()
        self._open_body = open_body
        self._broken = broken
        self._retrier = retrier
        self._start = self._position = start
        self._version: str | None = None
        self._body: Body | None = None
        # The first request is sent at once, so that a missing object is reported before the first read.
        self._body = retrier.call(self._open)

    def _open(self) -> Body:
        body = self._open_body(self._position, self._version)
        self._version = body.version
        self._end = body.end
        return body

    @property
    def end(self) -> int | None:
        """The offset at which the object ends; None if the server does not report it."""
        return self._end

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # io calls it with a memoryview only
        """Fill `buffer` with the next bytes that are there, and return their number: 0 at the end."""
        data = self._next(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Return the rest of the object."""
        return b"".join(iter(lambda: self._next(READ_SIZE), b""))

    def _next(self, size: int) -> bytes:
        if self._end is not None:
            size = min(size, self._end - self._position)
        if size <= 0:
            return b""
        attempts = self._retrier.begin()
        while True:
            try:
                if self._body is None:
                    self._body = self._open()
                data = self._body.read(size)
                if not data and self._end is not None and self._position < self._end:
                    raise self._broken(f"the connection ended after {self._position} of {self._end} bytes")
            except TransientError as error:
                self._drop()
                if self._version is None and self._position > self._start:
                    error.problem += " (the server reports no version of the object, so the rest cannot be requested)"
                    raise
                attempts.failed(error)
            else:
                self._position += len(data)
                return data

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def close(self) -> None:
        """Release the connection."""
        if not self.closed:
            self._drop()
        super().close()


def buffered(raw: ResumingReader) -> BinaryIO:
    """Return the buffered stream that callers read."""
    return io.BufferedReader(raw, BUFFER)
