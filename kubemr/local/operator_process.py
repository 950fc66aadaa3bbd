"""Run the operator of a local run as a child process, and restart it when it dies, as a Deployment would."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from kubemr.local.container_process import LocalProcess
from kubemr.local.output_log import OutputLog

SOURCE: Final = "operator"
FIRST_RESTART_BACKOFF: Final = 0.1
LAST_RESTART_BACKOFF: Final = 5.0
STABLE_SECONDS: Final = 5.0
"""An operator that ran this long counts as working: the back-off starts from the beginning."""
MAX_QUICK_EXITS: Final = 5
"""After this many quick exits in a row, the operator is not restarted.  Exits by a signal do not count."""
EXIT_INVALID_SETTINGS: Final = 2
OPERATOR_GRACE_SECONDS: Final = 5.0
_HERE: Final = Path(__file__).parents[2]
_PROGRAM: Final = """\
import sys
sys.path.append(sys.argv[1])
from kubemr.controller.__main__ import main
sys.exit(main())
"""
"""Like `python -m kubemr.controller`, but no file in the working directory can replace a module that it imports."""


class OperatorFailedError(Exception):
    """The operator cannot run on this machine."""


class OperatorSupervisor:
    """Keeps one operator running.  A thread calls `on_failure` if that is not possible."""

    def __init__(
        self, environ: Mapping[str, str], directory: str, output_log: OutputLog, on_failure: Callable[[Exception], None]
    ) -> None:
        self._environ = {**environ, "TMPDIR": directory}
        self._output_log = output_log
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: LocalProcess | None = None
        self._started = 0.0
        self._quick_exits = 0
        self._timer: threading.Timer | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the running operator, or None."""
        process = self._process
        return process.pid if process else None

    def start(self) -> None:
        """Start the operator."""
        with self._lock:
            if self._stopping.is_set():
                return
            self._started = time.monotonic()
            self._process = LocalProcess(
                [sys.executable, "-P", "-c", _PROGRAM, str(_HERE)],
                self._environ,
                None,
                lambda line: self._output_log.add(SOURCE, line),
                self._on_exit,
            )

    def stop(self) -> None:
        """End the operator by SIGTERM, after a grace period by SIGKILL, and return when it has ended."""
        with self._lock:
            self._stopping.set()
            process, timer = self._process, self._timer
        if timer is not None:
            timer.cancel()
        if process is not None:
            process.terminate(OPERATOR_GRACE_SECONDS)
            process.join()

    def kill(self) -> None:
        """Send SIGKILL to the operator, so that `stop` need not wait.  Any thread may call it."""
        process = self._process
        if process is not None:
            process.kill()

    def _on_exit(self, code: int, message: str) -> None:
        with self._lock:
            self._process = None
            if self._stopping.is_set():
                return
            killed = code > 128
            was_stable = time.monotonic() - self._started >= STABLE_SECONDS
            self._quick_exits = 0 if was_stable else self._quick_exits + (not killed)
            if code == EXIT_INVALID_SETTINGS or self._quick_exits >= MAX_QUICK_EXITS:
                self._stopping.set()
                failure = OperatorFailedError(f"the operator ended with exit code {code}: {message}")
            else:
                pause = min(LAST_RESTART_BACKOFF, FIRST_RESTART_BACKOFF * 2**self._quick_exits)
                self._timer = threading.Timer(pause, self.start)
                self._timer.daemon = True
                self._timer.start()
                return
        self._on_failure(failure)
