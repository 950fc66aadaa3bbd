"""A server process that a test starts: its log, the wait until it is ready, and its certain end.

A `Daemon` is ended by its own process id.
It runs in a session of its own, so that Ctrl-C in a terminal reaches pytest only, which then ends its daemons in order;
and the kernel ends it when the process that started it dies in any other way.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

_DIES_WITH_PARENT = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that started this one is gone already")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Run in the child, which then becomes the server under the same process id.  Not a `preexec_fn`, which may deadlock
in a process that has threads."""

Started = TypeVar("Started")


class DaemonError(Exception):
    """A server did not start; the message holds the end of its log."""


def free_port(address: str = "127.0.0.1") -> int:
    """A port of `address` without a listener now; another may take it before it is used (see `start_on_free_ports`)."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


class Daemon:
    """A running server process.  `command` begins with a path; `log` receives its standard output and error."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = dict(os.environ if environment is None else environment)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with open(self.log, "ab") as sink:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _DIES_WITH_PARENT, str(os.getpid()), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def start_again(self, ready: Callable[[], bool], deadline: float = 60.0) -> None:
        """Start one that has ended with the command that it had, and wait as `wait_ready` does."""
        assert not self.running, f"{self.name} runs"
        self._process = self._start()
        self.wait_ready(ready, deadline)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def _log_tail(self) -> str:
        return f"the end of {self.log}:\n{self.log.read_text(errors='replace')[-4000:]}"

    def wait_ready(self, ready: Callable[[], bool], deadline: float = 60.0) -> Self:
        """Poll until `ready()`; after `deadline` seconds, or when the process ends before, stop it and raise."""
        end = time.monotonic() + deadline
        try:
            while self.running:
                if ready():
                    return self
                if time.monotonic() > end:
                    raise DaemonError(f"{self.name} was not ready within {deadline:g} s; {self._log_tail()}")
                time.sleep(0.05)
            raise DaemonError(f"{self.name} ended with status {self._process.returncode}; {self._log_tail()}")
        except BaseException:
            self.stop()
            raise

    def stop(self, grace: float = 10.0) -> None:
        """End it: SIGTERM, and SIGKILL after `grace` seconds.  A stopped (SIGSTOP) process is woken first."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, e.g. SIGSTOP."""
        self._process.send_signal(number)


def start_on_free_ports(start: Callable[[], Started], attempts: int = 3) -> Started:
    """Call `start`, which picks its ports anew each time, again when another process was quicker to take one."""
    for _ in range(attempts - 1):
        try:
            return start()
        except DaemonError as error:
            if "address already in use" not in str(error):
                raise
    return start()
