"""The supervisor of the child process: a thread that starts it, sends it tasks, reads its answers and ends it.

One round of `_step` starts what can start, then waits for the first of four events and handles it:

- a message from the child
- the end of the process
- the deadline of the running attempt
- a wake-up by the queue

The thread never polls.

While tasks are quick and print nothing, the supervisor sends the child several of them, as many as fit into
`_PREFETCH_SECONDS`.
Then the child does not wait for this process after each task, nor this process for the child.

==============================  ===========================================================================
event                           outcome of the attempt
==============================  ===========================================================================
the child reports a result      that result
the process ends                failed, with the exit status and the end of stderr; a new child runs the other
                                attempts, and those that the child held but had not begun have not failed
no progress in `task_timeout`   failed; the process group is killed
the child does not start        failed, with the reason; the next start waits (0.1 s, doubling up to 10 s)
==============================  ===========================================================================
"""

from __future__ import annotations

import random
import select
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Final

from attr import asdict

from kubemr.coordination.attempt_records import AttemptLog
from kubemr.coordination.timestamps import milli_timestamp
from kubemr.locks.backoff import Backoff
from kubemr.worker.assignment import Assignment, JobInfo, Outcome, OutcomeKind, field_values
from kubemr.worker.execution.child_process import ChildProcess
from kubemr.worker.execution.failure_messages import describe_exit
from kubemr.worker.execution.ipc import InvalidFrameError, Message
from kubemr.worker.execution.queue import ExecutionQueue, InFlight

_FIRST_RESTART_SECONDS: Final = 0.1
_MAX_RESTART_SECONDS: Final = 10.0
_EXIT_SECONDS: Final = 1.0
"""How long a child may take to exit after it has closed its channel, before it is killed."""
_SUSPENDED_SECONDS: Final = 1.0
"""If a wake-up is this late, this process and its child were suspended: the time-out starts again."""
_FAST_SECONDS: Final = 0.001
"""The longest that a quick task takes."""
_MIN_FAST_STREAK: Final = 16
"""The number of consecutive quick tasks after which the child gets several at once."""
_MAX_PREFETCHED: Final = 256
"""The highest number of attempts in flight."""
_PREFETCH_SECONDS: Final = 0.005
"""The child holds about this much work at most."""
_COALESCE_SECONDS: Final = 0.002
"""How long to wait before reading answers if several attempts are in flight, to read several answers at once."""


class ChildSupervisor:
    """Owns the child process.

    `run` is the body of the thread; `spawn` starts a child; `log` is called with an event name and fields.
    """

    def __init__(
        self,
        queue: ExecutionQueue,
        job: JobInfo,
        task_timeout: float,
        spawn: Callable[[], ChildProcess],
        log: Callable[..., object],
    ) -> None:
        self._queue = queue
        self._job = job
        self._task_timeout = task_timeout
        self._spawn = spawn
        self._log = log
        self.start_early = False
        """Whether to start a child before an attempt is queued."""
        self.grace = 0.0
        """Seconds that an idle child gets to exit by itself."""
        self._child: ChildProcess | None = None
        self._ready = False
        self._fast_streak = 0
        """The number of consecutive quick tasks that ended last."""
        self._prefetch = 1
        """How many attempts may be in flight."""
        self._backoff = Backoff(_FIRST_RESTART_SECONDS, _MAX_RESTART_SECONDS)
        self._next_start_at = 0.0

    def run(self) -> None:
        """Run attempts until the queue is stopped; when this returns, the child and its process group have ended."""
        try:
            while not self._queue.stopping:
                self._step()
            if (
                self._child is not None
                and self._ready
                and self._queue.running is None
                and not self._queue.take_kill_request()
            ):
                self._child.shut_down(self.grace)
        except BaseException as error:
            self._queue.fail(error)
            raise
        finally:
            if self._child is not None:
                self._kill_and_reap(self._child)

    def _step(self) -> None:
        if self._queue.take_kill_request() and self._child is not None:
            self._kill_and_reap(self._child)
            self._queue.requeue_all()
        self._start_work()
        self._wait_and_handle()

    def _start_work(self) -> None:
        now = time.monotonic()
        may_start = now >= self._next_start_at
        in_flight = None
        if self._child is not None or may_start:
            in_flight = self._queue.start_next(now, now + self._task_timeout)
        if self._child is None and may_start and (in_flight is not None or self.start_early):
            self.start_early = False
            self._start_child()
        if self._child is not None and self._ready and in_flight is not None:
            first = [] if in_flight.sent else [in_flight]
            if first:
                self._start_clock(in_flight)
                self._child.begin_attempt(in_flight.assignment)
            self._queue.prefetch(self._prefetch, partial(self._send_tasks, self._child, first))

    @staticmethod
    def _send_tasks(child: ChildProcess, first: list[InFlight], following: list[InFlight]) -> None:
        unsent = first + following
        if unsent:
            for each in unsent:
                each.sent = True
            child.send_tasks([(each.seq, *field_values(each.assignment)) for each in unsent])

    def _start_child(self) -> None:
        try:
            child = self._spawn()
        except OSError as error:
            self._start_failed(f"the worker process could not be started: {error}")
            return
        self._child, self._ready, self._fast_streak, self._prefetch = child, False, 0, 1
        self._queue.recall = child.recall
        self._log("child_started", pid=child.pid)
        job = {**asdict(self._job), "jobargs": dict(self._job.jobargs)}
        child.send("hello", body=[job, child.directory])

    def _wait_and_handle(self) -> None:
        poll = select.poll()
        poll.register(self._queue.wakeup_fd, select.POLLIN)
        child, in_flight = self._child, self._queue.running
        if in_flight is not None and not in_flight.started_at:
            self._start_prefetched(child, in_flight)
        before = time.monotonic()
        timeout = self._poll_timeout(in_flight, before)
        if child is not None:
            poll.register(child.exit_fd, select.POLLIN)
            if self._queue.has_prefetched and not child.has_unsent:
                # Read several answers at once, unless another event comes first.
                poll.poll(_COALESCE_SECONDS * 1000)
            poll.register(child.socket, select.POLLIN | (select.POLLOUT if child.has_unsent else 0))
        ready = {number for number, _ in poll.poll(None if timeout is None else timeout * 1000)}
        if timeout is not None and in_flight is not None and time.monotonic() - before - timeout > _SUSPENDED_SECONDS:
            in_flight.deadline = time.monotonic() + self._task_timeout
        if self._queue.wakeup_fd in ready:
            self._queue.drain_wakeup()
        if child is None:
            return
        child.flush()
        if child.exit_fd in ready or child.socket.fileno() in ready:
            self._read_messages(child, ended=child.exit_fd in ready)
        if self._child is child and in_flight is not None and time.monotonic() >= in_flight.deadline:
            self._handle_timeout(child, in_flight)

    def _start_prefetched(self, child: ChildProcess | None, in_flight: InFlight) -> None:
        """Start the time of a prefetched attempt that is now the first, because those before it were removed."""
        self._start_clock(in_flight)
        if child is not None:
            child.relabel_output(in_flight.assignment)

    def _start_clock(self, in_flight: InFlight) -> None:
        in_flight.started_at = time.monotonic()
        in_flight.deadline = in_flight.started_at + self._task_timeout

    def _poll_timeout(self, in_flight: InFlight | None, now: float) -> float | None:
        if in_flight is not None:
            return max(0.0, in_flight.deadline - now)
        if self._child is None and (self.start_early or self._queue.has_queued):
            return max(0.0, self._next_start_at - now)
        return None

    def _read_messages(self, child: ChildProcess, ended: bool) -> None:
        """Read and handle the messages on the channel; the last ones count even if the process has `ended`."""
        try:
            messages, invalid = self._receive(child)
            for quiet, group in groupby(messages or (), _is_quiet):
                if quiet:
                    self._complete_quiet(child, [(seq, kind, seconds) for kind, seq, seconds in group])
                else:
                    for message in group:
                        self._handle_message(child, message)
            if invalid is not None:
                raise invalid
        except (InvalidFrameError, LookupError, TypeError, ValueError) as error:
            self._fail_child(child, f"user code wrote to kubemr's own socket in its process ({error}): print to stdout")
            return
        if self._child is not child:
            return
        if ended or (messages is None and child.wait_for_exit(_EXIT_SECONDS)):
            self._fail_child(child, None)
        elif messages is None:
            self._fail_child(
                child, "user code closed kubemr's own socket in this process; close only files that you opened"
            )

    def _receive(self, child: ChildProcess) -> tuple[Sequence[Message] | None, InvalidFrameError | None]:
        """Return the messages that have arrived, and the error if an invalid frame follows them."""
        try:
            return child.receive(), None
        except InvalidFrameError as error:
            return error.before, error

    def _read_last_messages(self, child: ChildProcess) -> None:
        """Handle the results that the child sent before it was killed, and ignore its other messages."""
        try:
            for message in self._receive(child)[0] or ():
                if message.kind in ("done", "empty", "failed"):
                    self._handle_message(child, message)
        except (LookupError, TypeError, ValueError) as error:
            self._log("child_protocol_error", error=str(error))

    def _handle_message(self, child: ChildProcess, message: Message) -> None:
        in_flight = self._queue.running
        kind, seq, body = message
        if kind == "ready":
            self._ready = True
            self._backoff.reset()
        elif kind == "start_failed":
            self._kill_and_reap(child)
            self._start_failed(str(body), child.log_buffer.content())
        elif kind == "hello" or kind == "tasks" or kind == "continue":
            raise ValueError(f"a message of kind {kind!r}")
        elif in_flight is None or seq != in_flight.seq:
            return  # the attempt was cancelled
        elif kind == "progress":
            in_flight.deadline = time.monotonic() + self._task_timeout
        else:
            seconds, why, printed = body if isinstance(body, list) else (body, "", False)
            self._complete_attempt(child, in_flight, kind, float(seconds), str(why), bool(printed))

    def _complete_quiet(self, child: ChildProcess, results: Sequence[tuple[int, Any, float]]) -> None:
        """Do the same as `_complete_attempt` for each of several tasks that succeeded and printed nothing."""
        recorded, following = self._queue.complete_all(results)
        if recorded:
            child.note_no_output()
            if following is not None:
                following.deadline = following.started_at + self._task_timeout
                child.relabel_output(following.assignment)
        for _, _, seconds in results:
            self._fast_streak = self._fast_streak + 1 if seconds <= _FAST_SECONDS else 0
        self._adjust_prefetch(results[-1][2])

    def _adjust_prefetch(self, seconds: float) -> None:
        """Set how many attempts may be in flight, from the seconds that the latest task took."""
        fitting = int(_PREFETCH_SECONDS / max(seconds, _PREFETCH_SECONDS / _MAX_PREFETCHED))
        self._prefetch = fitting if self._fast_streak >= _MIN_FAST_STREAK else 1

    def _complete_attempt(
        self, child: ChildProcess, in_flight: InFlight, kind: OutcomeKind, seconds: float, message: str, printed: bool
    ) -> None:
        output = b""
        if printed:
            output = child.read_output()
        else:
            child.note_no_output()
        following = self._queue.complete(in_flight, _outcome(in_flight, kind, message, seconds, output))
        if following is not None:
            following.deadline = following.started_at + self._task_timeout
            if printed:
                child.begin_attempt(following.assignment)
            else:
                child.relabel_output(following.assignment)
        if printed:
            child.send("continue")
        self._fast_streak = self._fast_streak + 1 if seconds <= _FAST_SECONDS and not printed else 0
        self._adjust_prefetch(seconds)

    def _handle_timeout(self, child: ChildProcess, in_flight: InFlight) -> None:
        if self._queue.running is not in_flight:
            return  # it has just ended
        seconds = f"{self._task_timeout:g} s (taskTimeoutSeconds)"
        if in_flight.sent:
            remedy = "call self.progress() now and then in long tasks, or raise spec.taskTimeoutSeconds"
            self._fail_child(child, f"no progress for {seconds}, so the process was ended; {remedy}", in_flight)
        else:
            self._fail_child(
                child, f"the worker process was not ready after {seconds}: its imports or worker_init hang"
            )

    def _fail_child(self, child: ChildProcess, message: str | None, only: InFlight | None = None) -> None:
        """Kill the child, and fail the running attempt with `message`, or with the exit status if that is None.

        If `only` is given, the running attempt fails only if it is `only`.
        """
        was_ready, in_flight = self._ready, self._queue.detach_child()
        if only is not None and in_flight is not only:
            in_flight = None  # `only` was just cancelled, and this attempt is not the cause
        returncode, stderr = self._kill_and_reap(child)
        if message is None:
            if not was_ready:
                when = "before it was ready (at import, in worker_init, or without a call of kubemr.serve)"
            elif in_flight is not None:
                when = f"while it ran {in_flight.assignment}"
            else:
                when = "between two tasks"
            message = describe_exit(returncode, stderr, when=when)
        elif stderr.strip():
            message = f"{message}; the end of its stderr:\n{stderr.strip()}"
        if not was_ready:
            self._start_failed(message, child.log_buffer.content())
        elif in_flight is not None:
            self._complete_failed(in_flight, message, child.log_buffer.content())
        self._queue.requeue_all()

    def _start_failed(self, message: str, printed: bytes = b"") -> None:
        wait = self._backoff.next(random.random() / 2)
        self._next_start_at = time.monotonic() + wait
        self._log("child_start_failed", message=message, next_start_in_seconds=round(wait, 3))
        in_flight = self._queue.running
        if in_flight is not None:
            self._complete_failed(in_flight, message, printed)

    def _complete_failed(self, in_flight: InFlight, message: str, printed: bytes) -> None:
        seconds = time.monotonic() - in_flight.started_at
        self._queue.complete(in_flight, _outcome(in_flight, "failed", message, seconds, printed))

    def current_log(self) -> tuple[Assignment, bytes] | None:
        """Do what `ProcessExecutor.current_log` promises; any thread may call."""
        child = self._child
        return None if child is None else child.log_buffer.current_log()

    def _kill_and_reap(self, child: ChildProcess) -> tuple[int, str]:
        self._queue.detach_child()
        child.kill()
        self._read_last_messages(child)
        returncode, stderr = child.reap()
        self._child, self._ready = None, False
        self._log("child_ended", pid=child.pid, returncode=returncode)
        return returncode, stderr


def _is_quiet(message: Message) -> bool:
    """Return whether a message reports success without output: its body is only the seconds that the task took."""
    return type(message.body) is float and message.kind in ("done", "empty")


def _outcome(in_flight: InFlight, kind: OutcomeKind, message: str, seconds: float, printed: bytes) -> Outcome:
    """Return the outcome of an attempt that ends now; the usual case, success without output, costs almost nothing."""
    if kind != "failed" and not printed:
        return Outcome(in_flight.assignment, kind, message, seconds)
    now = time.time()
    start, end = milli_timestamp(now - seconds), milli_timestamp(now)
    log = AttemptLog(str(in_flight.assignment), printed, start, end, kind).encode() if printed else b""
    return Outcome(in_flight.assignment, kind, message, seconds, log, start, end)
