"""Copy the output of user code to this process's own output, and pass it to the log buffer.

One thread per stream reads the child's pipe, so that a busy worker never blocks the child.
If the worker's own stdout or stderr is closed, the output is dropped from then on.
It is not part of a task's result, so the task does not fail.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import Final

from kubemr.worker.execution.written_bytes import ReadCounter, bytes_in_pipe

_COPY_BYTES: Final = 1 << 16


class Tee:
    """Copies `source` to the file descriptor `target`, and calls `on_data` with every piece.

    `source` is the reading end of a pipe; the tee closes it.
    The tee keeps the last `tail_bytes` bytes, and counts in `counter` what it has read.
    """

    def __init__(
        self,
        source: int,
        target: int,
        tail_bytes: int,
        on_data: Callable[[bytes], object],
        name: str,
        counter: ReadCounter,
    ) -> None:
        self._source = source
        self._target = target
        self._tail_bytes = tail_bytes
        self._on_data = on_data
        self._counter = counter
        self._tail = b""
        self._bytes_read = 0
        self._open = True
        # A thread that holds the lock finds no bytes that were read but not yet passed to `on_data`.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        # A daemon thread: a program that has left the process group may hold the pipe open for any time.
        self._thread = threading.Thread(target=self._copy, name=name, daemon=True)
        self._thread.start()

    def catch_up(self, timeout: float) -> bool:
        """Wait until `on_data` has received what is in the pipe now; return False after `timeout` seconds."""
        with self._lock:
            left = self._bytes_in_pipe()
            if not left:  # the usual case
                return True
            wanted = self._bytes_read + left
            return self._changed.wait_for(lambda: self._bytes_read >= wanted or not self._open, timeout)

    def clear_tail(self) -> None:
        """Discard the kept bytes."""
        with self._lock:
            self._tail = b""

    def tail(self) -> str:
        """Return the last bytes of the stream as text."""
        with self._lock:
            return self._tail.decode("utf-8", "replace")

    def join(self, timeout: float) -> bool:
        """Wait for the end of the stream; return False if it has not ended after `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _bytes_in_pipe(self) -> int:
        """Return how many bytes are in the pipe."""
        return bytes_in_pipe(self._source) if self._open else 0

    def _copy(self) -> None:
        open_target = True
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        try:
            while data := self._read(poll):
                if open_target:
                    open_target = _write(self._target, data)
        finally:
            with self._lock:
                self._open = False
                os.close(self._source)
                self._changed.notify_all()

    def _read(self, poll: select.poll) -> bytes:
        """Read the next bytes, and pass them to `on_data`; return nothing at the end of the stream."""
        poll.poll()
        with self._lock:
            count = min(bytes_in_pipe(self._source), _COPY_BYTES)
            self._counter.before_read(count)
            data = os.read(self._source, count or 1)  # does not block: no other reader, or the end
            self._counter.after_read()
            self._tail = (self._tail + data)[-self._tail_bytes :]
            self._on_data(data)
            self._bytes_read += len(data)
            self._changed.notify_all()
            return data


def _write(target: int, data: bytes) -> bool:
    """Write all of `data`; return False if the target has been closed."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except BlockingIOError:
            # Another process that shares this descriptor has made it non-blocking.
            poll = select.poll()
            poll.register(target, select.POLLOUT)
            poll.poll()
        except OSError:
            return False
    return True
