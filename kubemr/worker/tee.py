"""Passes on what user code prints, and remembers the end of it.

One thread per stream reads the child's pipe, so that a child is never held up by a runtime that is busy.
When the runtime's own stdout or stderr is gone, the output is dropped from then on: what a task prints
is no part of its result, and it must not fail for it.
"""

from __future__ import annotations

import os
import select
import threading
from typing import Final

_CHUNK: Final = 1 << 16


class Tee:
    """Copies `source` (a pipe's read end, which it closes) to the file descriptor `target`."""

    def __init__(self, source: int, target: int, keep: int, name: str) -> None:
        self._source = source
        self._target = target
        self._keep = keep
        self._tail = b""
        self._lock = threading.Lock()
        # A program that left the process group may hold the pipe for as long as it likes: never wait for it.
        self._thread = threading.Thread(target=self._copy, name=name, daemon=True)
        self._thread.start()

    def forget(self) -> None:
        """Begin a new tail."""
        with self._lock:
            self._tail = b""

    def tail(self) -> str:
        """The last bytes that came, as text."""
        with self._lock:
            return self._tail.decode("utf-8", "replace")

    def join(self, timeout: float) -> bool:
        """Wait for the end of the stream; False when it did not come in `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _copy(self) -> None:
        open_target = True
        try:
            while data := os.read(self._source, _CHUNK):
                with self._lock:
                    self._tail = (self._tail + data)[-self._keep :]
                if open_target:
                    open_target = _write(self._target, data)
        finally:
            os.close(self._source)


def _write(target: int, data: bytes) -> bool:
    """Write all of it; False when nobody can read it any more."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except BlockingIOError:
            # Somebody has made our stdout non-blocking.
            poll = select.poll()
            poll.register(target, select.POLLOUT)
            poll.poll()
        except OSError:
            return False
    return True
