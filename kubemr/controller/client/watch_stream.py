"""A watch's bytes, turned into events: one JSON document a line, of any length.

A stream ends in one of four ways: the server closes it after a whole line (the iteration ends), the connection breaks
(`WatchBroken`), nothing comes for `silence` seconds (`WatchSilent`), or a line is no event (`WatchGarbled`).
Events that arrived before the end are always delivered first.
"""

from __future__ import annotations

import asyncio
import json

import aiohttp

from kubemr.controller.client.watch_errors import WatchBroken, WatchGarbled, WatchSilent
from kubemr.locks.effects import WatchEvent

MAX_LINE = 64 * 1024 * 1024
"""Bytes.  etcd holds objects of 1.5 MiB; a line this long is no event but an attack on our memory."""


class LineBuffer:
    """Chunks in, lines out."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0
        """No newline is before this offset, so that a long line is searched once and not once for each chunk."""

    def __len__(self) -> int:
        """Bytes that were not taken out yet."""
        return len(self._bytes)

    def feed(self, chunk: bytes) -> None:
        """Add what arrived."""
        self._bytes += chunk

    def take(self) -> bytes | None:
        """The next whole line without its end, None if there is none yet."""
        end = self._bytes.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._bytes)
            return None
        line = bytes(memoryview(self._bytes)[:end])
        del self._bytes[: end + 1]
        self._searched = 0
        return line


def decode_event(line: bytes) -> WatchEvent:
    """An event whose `object` is a JSON object, or `WatchGarbled`."""
    try:
        document = json.loads(line)
        event_type, obj = document["type"], document["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise WatchGarbled(f"not a watch event: {_excerpt(line)}") from error
    if not isinstance(event_type, str) or not isinstance(obj, dict):
        raise WatchGarbled(f"not a watch event: {_excerpt(line)}")
    return WatchEvent(event_type, obj)


def _excerpt(line: bytes) -> str:
    text = line[:120].decode("utf-8", "replace")
    return repr(text) + (f"… ({len(line)} bytes)" if len(line) > 120 else "")


class WatchStream:
    """The events of one open watch; to be iterated once.

    `silence`, in seconds, may be changed while the stream is read; it holds from the next wait on.
    """

    def __init__(self, content: aiohttp.StreamReader, silence: float) -> None:
        self.silence = silence
        self._content = content
        self._lines = LineBuffer()

    def __aiter__(self) -> WatchStream:
        """The stream itself."""
        return self

    async def __anext__(self) -> WatchEvent:
        """The next event."""
        while True:
            line = self._lines.take()
            if line is not None and not line.isspace() and line:
                return decode_event(line)
            if line is None:
                await self._fill()

    async def _fill(self) -> None:
        try:
            async with asyncio.timeout(self.silence):
                chunk = await self._content.readany()
        except TimeoutError as error:
            raise WatchSilent(f"nothing came for {self.silence:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise WatchBroken(f"connection lost: {str(error) or type(error).__name__}") from error
        if chunk:
            self._lines.feed(chunk)
            if len(self._lines) > MAX_LINE:
                raise WatchGarbled(f"a line of more than {MAX_LINE} bytes")
        elif len(self._lines):
            raise WatchBroken(f"closed by the server in the middle of a line, after {len(self._lines)} bytes of it")
        else:
            raise StopAsyncIteration
