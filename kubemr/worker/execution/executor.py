"""Runs user code in a process of its own, one task after another; the runtime's side.

The runtime never runs user code: a mapper that crashes, hangs or holds the interpreter's lock for minutes
happens to another process.  The parts, top to bottom: this class; the `desk`, the state that callers and the
driver share; the `driver`, a thread that owns the child; `child_process`, the child as seen from here, in
its `process_group`; `channel`, the wire.  `child` and `tasks` are what runs at its other end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from kubemr.logs import silent
from kubemr.worker.assignment import Assignment, JobInfo, Outcome
from kubemr.worker.execution.child_process import ChildProcess, own_command
from kubemr.worker.execution.queue import ExecutionQueue
from kubemr.worker.execution.supervisor import ChildSupervisor
from kubemr.worker.settings import DEFAULT_LOG_BYTES


class ProcessExecutor:
    """Runs assignments in order in one child process, one at a time.

    `task_timeout` is in seconds since the last progress.  `command` starts the child, by default this same
    program; `environ` is its environment, by default ours.  `stdout` and `stderr` are the file descriptors
    that get what user code prints; `log_bytes` of each attempt's are kept (`Outcome.log`).  `log` is called as
    structlog's methods are: an event name and fields.

    Every method may be called from any thread.  `stop` it in the end, or use it as a context manager.
    """

    def __init__(
        self,
        job: JobInfo,
        *,
        task_timeout: float,
        command: Sequence[str] | None = None,
        environ: Mapping[str, str] | None = None,
        stdout: int = 1,
        stderr: int = 2,
        log_bytes: int = DEFAULT_LOG_BYTES,
        log: Callable[..., object] = silent,
    ) -> None:
        if task_timeout <= 0:
            raise ValueError(f"task timeout {task_timeout} s: must be above 0")
        command = list(command) if command is not None else own_command()
        environ = dict(os.environ if environ is None else environ)
        self._queue = ExecutionQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._supervisor = ChildSupervisor(
            self._queue, job, task_timeout, lambda: ChildProcess(command, environ, stdout, stderr, log_bytes), log
        )

    def start(self) -> None:
        """Start the child now, so that its imports overlap with the search for a first task."""
        with self._starting:
            if self._thread is None and not self._queue.stopping:
                self._supervisor.early = True
                self._start_thread()

    def begin(self, assignments: Sequence[Assignment]) -> None:
        """Queue tasks; they run in order, after those that are queued already."""
        self._queue.begin(assignments)
        with self._starting:
            if self._thread is None:
                self._start_thread()

    def wait(self, timeout: float) -> list[Outcome]:
        """The outcomes since the last call; waits for one, at most `timeout` seconds, until `interrupt` or `stop`."""
        return self._queue.wait(timeout)

    def interrupt(self) -> None:
        """Make a `wait` that is going on, or the next one, return at once."""
        self._queue.interrupt()

    def take_back(self) -> list[Assignment]:
        """The tasks that were not begun, in order; they will not be run."""
        return self._queue.take_back()

    def current_log(self) -> tuple[Assignment, bytes] | None:
        """The latest attempt that was begun and its log so far; None when it has printed nothing."""
        return self._supervisor.current_log()

    def cancel(self, assignment: Assignment) -> bool:
        """Let go of an attempt: kill it when it is in flight, forget it when it is queued or its outcome not yet taken.

        No outcome of it is returned from now on.  False when it was not (or no longer) here.  Does not wait for
        the end of the process: what a cancelled attempt still writes lies under its own prefix.
        """
        return self._queue.cancel(assignment)

    def stop(self, grace: float = 1.0) -> None:
        """End the child and its process group, and return when they are gone.

        An idle child gets `grace` seconds to end in an orderly way (`atexit`); one at work is killed at once.
        """
        self._supervisor.grace = grace
        self._queue.stop()
        with self._starting:
            if self._thread is not None:
                self._thread.join()
        self._queue.close()

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._supervisor.run, name="kubemr-executor", daemon=True)
        self._thread.start()
