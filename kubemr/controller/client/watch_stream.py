"""Decode the bytes of a watch into events: one JSON document a line, of any length.

A stream ends in one of four ways:

- The server closes it after a whole line.  The iteration ends.
- The connection breaks: `WatchBrokenError`.
- No byte arrives within the idle timeout: `WatchIdleTimeoutError`.
- A line is not an event: `WatchGarbledError`.

Events that arrived before the end are always delivered first.
"""

from __future__ import annotations

import asyncio
import json

import aiohttp

from kubemr.controller.client.watch_errors import WatchBrokenError, WatchGarbledError, WatchIdleTimeoutError
from kubemr.locks.effects import WatchEvent

MAX_LINE = 64 * 1024 * 1024
"""Bytes.  etcd stores objects of at most 1.5 MiB, so a line of this length is an attack on the client's memory."""


class LineBuffer:
    """Split chunks of bytes into lines."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0
        """No newline is before this offset, so that a long line is searched once and not once for each chunk."""

    def __len__(self) -> int:
        """Return the number of bytes in the buffer."""
        return len(self._bytes)

    def feed(self, chunk: bytes) -> None:
        """Append a chunk that has arrived."""
        self._bytes += chunk

    def next_line(self) -> bytes | None:
        """Remove and return the next whole line without its end, or None if there is none yet."""
        end = self._bytes.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._bytes)
            return None
        line = bytes(memoryview(self._bytes)[:end])
        del self._bytes[: end + 1]
        self._searched = 0
        return line


def decode_event(line: bytes) -> WatchEvent:
    """Return an event whose `object` is a JSON object.  Raises `WatchGarbledError`."""
    try:
        document = json.loads(line)
        event_type, obj = document["type"], document["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise WatchGarbledError(f"not a watch event: {_excerpt(line)}") from error
    if not isinstance(event_type, str) or not isinstance(obj, dict):
        raise WatchGarbledError(f"not a watch event: {_excerpt(line)}")
    return WatchEvent(event_type, obj)


def _excerpt(line: bytes) -> str:
    text = line[:120].decode("utf-8", "replace")
    return repr(text) + (f"… ({len(line)} bytes)" if len(line) > 120 else "")


class WatchStream:
    """The events of one open watch.  Iterate over it once.

    `idle_timeout`, in seconds, may be changed while the stream is read; it applies from the next wait on.
    """

    def __init__(self, content: aiohttp.StreamReader, idle_timeout: float) -> None:
        self.idle_timeout = idle_timeout
        self._content = content
        self._lines = LineBuffer()

    def __aiter__(self) -> WatchStream:
        """Return the stream itself."""
        return self

    async def __anext__(self) -> WatchEvent:
        """Return the next event."""
        while True:
            line = self._lines.next_line()
            if line is not None and not line.isspace() and line:
                return decode_event(line)
            if line is None:
                await self._fill()

    async def _fill(self) -> None:
        try:
            async with asyncio.timeout(self.idle_timeout):
                chunk = await self._content.readany()
        except TimeoutError as error:
            raise WatchIdleTimeoutError(f"no byte arrived for {self.idle_timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise WatchBrokenError(f"connection lost: {str(error) or type(error).__name__}") from error
        if chunk:
            self._lines.feed(chunk)
            if len(self._lines) > MAX_LINE:
                raise WatchGarbledError(f"a line of more than {MAX_LINE} bytes")
        elif len(self._lines):
            raise WatchBrokenError(
                f"closed by the server in the middle of a line, after {len(self._lines)} bytes of it"
            )
        else:
            raise StopAsyncIteration
