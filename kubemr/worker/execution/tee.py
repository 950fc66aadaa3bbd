"""Passes on what user code prints, and keeps some of it.

One thread per stream reads the child's pipe, so that a child is never held up by a runtime that is busy.
When the runtime's own stdout or stderr is gone, the output is dropped from then on: what a task prints
is no part of its result, and it must not fail for it.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import Final

from kubemr.worker.execution.written_bytes import ReadCounter, waiting

_CHUNK: Final = 1 << 16


class Tee:
    """Copies `source` (a pipe's read end, which it closes) to the file descriptor `target`, and gives it to `note`.

    The last `keep` bytes are remembered.  `counted` counts what is taken.
    """

    def __init__(
        self,
        source: int,
        target: int,
        keep: int,
        note: Callable[[bytes], object],
        name: str,
        counted: ReadCounter,
    ) -> None:
        self._source = source
        self._target = target
        self._keep = keep
        self._note = note
        self._counted = counted
        self._tail = b""
        self._count = 0
        self._open = True
        # What has left the pipe has been noted, for whoever holds the lock.
        self._lock = threading.Lock()
        self._noted = threading.Condition(self._lock)
        # A program that left the process group may hold the pipe for as long as it likes: never wait for it.
        self._thread = threading.Thread(target=self._copy, name=name, daemon=True)
        self._thread.start()

    def catch_up(self, timeout: float) -> bool:
        """Wait until what is in the pipe now has been noted; False when it was not in `timeout` seconds."""
        with self._lock:
            left = self._waiting()
            if not left:  # as for almost every task
                return True
            wanted = self._count + left
            return self._noted.wait_for(lambda: self._count >= wanted or not self._open, timeout)

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

    def _waiting(self) -> int:
        """How many bytes are in the pipe."""
        return waiting(self._source) if self._open else 0

    def _copy(self) -> None:
        open_target = True
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        try:
            while data := self._take(poll):
                if open_target:
                    open_target = _write(self._target, data)
        finally:
            with self._lock:
                self._open = False
                os.close(self._source)
                self._noted.notify_all()

    def _take(self, poll: select.poll) -> bytes:
        """The next bytes, noted; none at the end."""
        poll.poll()
        with self._lock:
            count = min(waiting(self._source), _CHUNK)
            self._counted.begin(count)
            data = os.read(self._source, count or 1)  # does not wait: nobody else reads, and an end is there at once
            self._counted.end()
            self._tail = (self._tail + data)[-self._keep :]
            self._note(data)
            self._count += len(data)
            self._noted.notify_all()
            return data


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
