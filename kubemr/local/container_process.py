"""Run a container's command as a local process, in its own process group, and read its output line by line.

Its `ProcessGroup` ends it when this process ends, in whatever way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final

from kubemr.worker.execution.process_group import ProcessGroup

TAIL_BYTES: Final = 2048
TAIL_LINES: Final = 80
"""How much of a container's output becomes its termination message (as with FallbackToLogsOnError)."""
_LAST_OUTPUT: Final = 2.0
"""Seconds to wait for the last output of a dead process.  Only a process in another session can delay it."""


class LocalProcess:
    """A running command.

    `on_exit` is called once, in a thread of this object, with the exit code and the last output.  `on_line` gets each
    line of the output.  The exit code is that of a shell or Kubernetes: 128 + the number of the signal that ended the
    process. Raises OSError if the command cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        directory: str | None,
        on_line: Callable[[str], None],
        on_exit: Callable[[int, str], None],
    ) -> None:
        self._on_line = on_line
        self._on_exit = on_exit
        self._tail = b""
        self._group = ProcessGroup()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=-1,
                process_group=self._group.id,
                cwd=directory,
                env=dict(environ),
            )
        except BaseException:
            self._group.close()
            raise
        assert self._process.stdout is not None, "started with PIPE"
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), name=f"output-{self.pid}", daemon=True
        )
        self._waiter = threading.Thread(target=self._wait, name=f"process-{self.pid}", daemon=True)
        self._reader.start()
        self._waiter.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def terminate(self, grace: float) -> None:
        """Send SIGTERM to the process, and after `grace` seconds SIGKILL to its whole group.  Does not wait."""
        self._signal(signal.SIGTERM)
        # A stopped process handles SIGTERM only after it was continued.
        self._signal(signal.SIGCONT)
        timer = threading.Timer(grace, self.kill)
        timer.daemon = True
        timer.start()

    def kill(self) -> None:
        """Send SIGKILL to the whole group."""
        try:
            self._group.kill()
        except ProcessLookupError:
            return  # it has ended in the meantime

    def join(self) -> None:
        """Wait until the process has ended and `on_exit` was called."""
        self._waiter.join()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for raw in stream:
                self._tail = (self._tail + raw)[-TAIL_BYTES:]
                self._on_line(raw.decode("utf-8", "replace").rstrip("\n"))

    def _wait(self) -> None:
        status = self._process.wait()
        self._group.close()
        self._reader.join(_LAST_OUTPUT)
        code = status if status >= 0 else 128 - status
        self._on_exit(code, _last_lines(self._tail))


def _last_lines(tail: bytes) -> str:
    return "\n".join(tail.decode("utf-8", "replace").splitlines()[-TAIL_LINES:])


def inherited_environ(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return this process's environment for a child process, without kubemr's own variables."""
    return {name: value for name, value in environ.items() if not name.startswith("KUBEMR_")}
