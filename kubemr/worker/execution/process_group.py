"""A process group that ends when this process ends, even by `kill -9`.

The group's leader is a guardian: a shell that reads a pipe of which only this process holds the other end.
When the pipe ends, the guardian kills its own group.
This also ends what user code started.
It needs no cooperation of the child, which may hold the interpreter's lock for minutes.
The guardian is reaped last, so the kernel cannot reuse the group's number before.

A program that user code starts in another session (`setsid`) leaves the group and outlives it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from typing import Final

_SHELL: Final = "trap '' HUP INT TERM; read _; kill -9 0"
_PYTHON: Final = (
    "import os, signal\n"
    "for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)\n"
    "os.read(0, 1); os.killpg(0, signal.SIGKILL)"
)


class ProcessGroup:
    """A guardian and the processes that are started with `process_group=group.id`."""

    def __init__(self) -> None:
        reading, self._lifeline = os.pipe()
        shell = shutil.which("sh")
        # In images without a shell the guardian is an interpreter, which costs 20 ms and 8 MiB.
        command = [shell, "-c", _SHELL] if shell else [sys.executable, "-I", "-S", "-c", _PYTHON]
        try:
            self._guardian = subprocess.Popen(
                command, stdin=reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
            )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(reading)
        self._closed = False

    @property
    def id(self) -> int:
        """The process group's number."""
        return self._guardian.pid

    def kill(self) -> None:
        """Send SIGKILL to every process in the group, at every call."""
        if not self._closed:
            os.killpg(self.id, signal.SIGKILL)

    def close(self) -> None:
        """Kill the group and reap its processes; the caller must reap those that it started before."""
        if self._closed:
            return
        self.kill()
        self._closed = True
        os.close(self._lifeline)
        # If this process is the init of a container, orphans of the group have become its children: reap them too.
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-self.id, 0)
        self._guardian.wait()
