"""Run user code in a child process, one attempt after another; this is the worker's side.

The worker process never runs user code.
So if a mapper crashes, hangs or holds the interpreter's lock for minutes, that happens to another process.

=====================  ===========================================================================================
module                 what it is
=====================  ===========================================================================================
`executor`             this class: the interface to the worker's loop
`queue`                the thread-safe queue between the loop and the supervisor
`supervisor`           the thread that owns the child process
`child_process`        the child as the worker sees it, in its `process_group`; `tee` and `log_buffer` read its output
`ipc`                  the messages between worker and child
`child_main`           what the child runs; `task_runner` calls the user's methods
=====================  ===========================================================================================
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
    """Runs attempts in order in one child process, one at a time.

    - `task_timeout`: seconds since the last progress, after which an attempt is killed.
    - `command` starts the child; by default it is the command of this process.
    - `environ` is the child's environment; by default it is that of this process.
    - `stdout` and `stderr`: the file descriptors to which the output of user code is copied.
    - `log_bytes`: how much of an attempt's output its outcome contains (`Outcome.log`).
    - `log` is called like structlog's methods, with an event name and fields.

    Every method may be called from any thread.
    Call `stop` in the end, or use the executor as a context manager.
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
        self._thread_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._supervisor = ChildSupervisor(
            self._queue, job, task_timeout, lambda: ChildProcess(command, environ, stdout, stderr, log_bytes), log
        )

    def start(self) -> None:
        """Start the child now, so that its imports overlap with the search for the first task."""
        with self._thread_lock:
            if self._thread is None and not self._queue.stopping:
                self._supervisor.start_early = True
                self._start_thread()

    def submit(self, assignments: Sequence[Assignment]) -> None:
        """Queue attempts; they run in order, after those that are queued already."""
        self._queue.submit(assignments)
        with self._thread_lock:
            if self._thread is None:
                self._start_thread()

    def wait(self, timeout: float) -> list[Outcome]:
        """Return the outcomes since the last call; wait for an outcome, `interrupt`, `stop` or `timeout` seconds."""
        return self._queue.wait(timeout)

    def interrupt(self) -> None:
        """Make the current `wait`, or else the next one, return immediately."""
        self._queue.interrupt()

    def withdraw(self) -> list[Assignment]:
        """Remove the attempts that have not begun, and return them in order; the child never runs them."""
        return self._queue.withdraw()

    def current_log(self) -> tuple[Assignment, bytes] | None:
        """Return the latest attempt that has begun, and its log so far; None if it has printed nothing."""
        return self._supervisor.current_log()

    def cancel(self, assignment: Assignment) -> bool:
        """Cancel an attempt: kill it if it runs, remove it if it is queued, drop its outcome if not yet returned.

        From now on `wait` returns no outcome of it.
        Return False if the executor does not have the attempt (any more).
        This does not wait for the end of the process: a cancelled attempt may still write under its own prefix.
        """
        return self._queue.cancel(assignment)

    def stop(self, grace: float = 1.0) -> None:
        """End the child and its process group, and return when both have ended.

        An idle child gets `grace` seconds to exit by itself (`atexit`); a child that runs an attempt is killed.
        """
        self._supervisor.grace = grace
        self._queue.stop()
        with self._thread_lock:
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
