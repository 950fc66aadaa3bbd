"""The thread that owns the child: it starts it, sends it tasks, hears its answers, ends it.

One round of `_step` begins what can begin, then waits for the first of: a message, the end of the
process, the task's deadline, the desk's bell; and deals with it.  Nothing is polled.

While tasks are quick and print nothing, the child is given several at once, as many as fit into `_PREFETCH_SECONDS`: it
need not wait for this process after each of them, nor this process for it.

==============================  ===========================================================================
what happens                    what becomes of the attempt
==============================  ===========================================================================
a result                        the outcome that the child reports
the process ends                failed, with its exit status and the end of its stderr; a new child for the rest;
                                a task that was given to it and had not begun has not failed
no progress in `task_timeout`   the process group is killed: failed
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
from kubemr.worker.assignment import Assignment, JobInfo, Kind, Outcome, values_of
from kubemr.worker.execution.child_process import ChildProcess
from kubemr.worker.execution.failure_messages import describe_exit
from kubemr.worker.execution.ipc import InvalidFrameError, Message
from kubemr.worker.execution.queue import ExecutionQueue, InFlight

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 10.0
_EXIT_SECONDS: Final = 1.0
"""How long a process may take to end after its channel has ended, before it is ended."""
_OVERSLEPT: Final = 1.0
"""A wake-up this much too late means that this process was stopped, its child with it: the time starts anew."""


_FAST_SECONDS: Final = 0.001
"""Seconds that a quick task takes at most."""
_FAST_STREAK: Final = 16
"""After so many quick tasks, one after another, the child is given several."""
_MOST_PREFETCHED: Final = 256
"""Tasks that are with the child at once, at most."""
_PREFETCH_SECONDS: Final = 0.005
"""About so much work is with the child, at most."""
_COALESCE_SECONDS: Final = 0.002
"""Seconds before answers are looked at when there is more than one to come."""


class ChildSupervisor:
    """`run` is the body of the thread.  `spawn` starts a child; `log` takes an event name and fields."""

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
        self.early = False
        """Start a child before there is a task."""
        self.grace = 0.0
        """Seconds that an idle child gets to end in an orderly way."""
        self._child: ChildProcess | None = None
        self._ready = False
        self._fast_streak = 0
        """How many quick tasks have ended since the last that was not."""
        self._prefetch = 1
        """How many tasks may be with the child."""
        self._backoff = Backoff(_FIRST_WAIT, _LONGEST_WAIT)
        self._not_before = 0.0

    def run(self) -> None:
        """Until the desk stops.  No process of ours is left then."""
        try:
            while not self._queue.stopping:
                self._step()
            if (
                self._child is not None
                and self._ready
                and self._queue.current is None
                and not self._queue.take_kill_request()
            ):
                self._child.hang_up(self.grace)
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
        self._begin()
        self._await()

    def _begin(self) -> None:
        now = time.monotonic()
        may_start = now >= self._not_before
        flight = None
        if self._child is not None or may_start:
            flight = self._queue.start_next(now, now + self._task_timeout)
        if self._child is None and may_start and (flight is not None or self.early):
            self.early = False
            self._start()
        if self._child is not None and self._ready and flight is not None:
            given = [] if flight.sent else [flight]
            if given:
                self._start_time(flight)
                self._child.begin(flight.assignment)
            self._queue.prefetch(self._prefetch, partial(self._give, self._child, given))

    @staticmethod
    def _give(child: ChildProcess, first: list[InFlight], following: list[InFlight]) -> None:
        given = first + following
        if given:
            for each in given:
                each.sent = True
            child.send_tasks([(each.seq, *values_of(each.assignment)) for each in given])

    def _start(self) -> None:
        try:
            child = self._spawn()
        except OSError as error:
            self._not_started(f"the worker process could not be started: {error}")
            return
        self._child, self._ready, self._fast_streak, self._prefetch = child, False, 0, 1
        self._queue.recall = child.recall
        self._log("child_started", pid=child.pid)
        job = {**asdict(self._job), "jobargs": dict(self._job.jobargs)}
        child.send("hello", body=[job, child.directory])

    def _await(self) -> None:
        poll = select.poll()
        poll.register(self._queue.wakeup_fd, select.POLLIN)
        child, flight = self._child, self._queue.current
        if flight is not None and not flight.began:
            self._start_prefetched(child, flight)
        before = time.monotonic()
        timeout = self._timeout(flight, before)
        if child is not None:
            poll.register(child.exited, select.POLLIN)
            if self._queue.several and not child.unsent:
                # One look at many answers, unless something else happens.
                poll.poll(_COALESCE_SECONDS * 1000)
            poll.register(child.socket, select.POLLIN | (select.POLLOUT if child.unsent else 0))
        ready = {number for number, _ in poll.poll(None if timeout is None else timeout * 1000)}
        if timeout is not None and flight is not None and time.monotonic() - before - timeout > _OVERSLEPT:
            flight.deadline = time.monotonic() + self._task_timeout
        if self._queue.wakeup_fd in ready:
            self._queue.drain_wakeup()
        if child is None:
            return
        child.flush()
        if child.exited in ready or child.socket.fileno() in ready:
            self._read_messages(child, ended=child.exited in ready)
        if self._child is child and flight is not None and time.monotonic() >= flight.deadline:
            self._time_out(child, flight)

    def _start_prefetched(self, child: ChildProcess | None, flight: InFlight) -> None:
        """It was given ahead, and is the first since others were taken back or cancelled."""
        self._start_time(flight)
        if child is not None:
            child.go_on(flight.assignment)

    def _start_time(self, flight: InFlight) -> None:
        flight.began = time.monotonic()
        flight.deadline = flight.began + self._task_timeout

    def _timeout(self, flight: InFlight | None, now: float) -> float | None:
        if flight is not None:
            return max(0.0, flight.deadline - now)
        if self._child is None and (self.early or self._queue.waiting):
            return max(0.0, self._not_before - now)
        return None

    def _read_messages(self, child: ChildProcess, ended: bool) -> None:
        """Read the channel, whose last messages count even when the process has ended since."""
        try:
            messages, bad = self._receive(child)
            for quiet, group in groupby(messages or (), _is_quiet):
                if quiet:
                    self._complete_quiet(child, [(seq, kind, seconds) for kind, seq, seconds in group])
                else:
                    for message in group:
                        self._handle(child, message)
            if bad is not None:
                raise bad
        except (InvalidFrameError, LookupError, TypeError, ValueError) as error:
            self._fail(child, f"user code wrote to kubemr's own socket in its process ({error}): print to stdout")
            return
        if self._child is not child:
            return
        if ended or (messages is None and child.wait(_EXIT_SECONDS)):
            self._fail(child, None)
        elif messages is None:
            self._fail(child, "user code closed kubemr's own socket in this process; close only files that you opened")

    def _receive(self, child: ChildProcess) -> tuple[Sequence[Message] | None, InvalidFrameError | None]:
        """What has arrived, and what is wrong with what came after it."""
        try:
            return child.receive(), None
        except InvalidFrameError as bad:
            return bad.before, bad

    def _read_last_messages(self, child: ChildProcess) -> None:
        """The answers that came before it was killed; nothing else of it counts any more."""
        try:
            for message in self._receive(child)[0] or ():
                if message.kind in ("done", "empty", "failed"):
                    self._handle(child, message)
        except (LookupError, TypeError, ValueError) as error:
            self._log("child_protocol_error", error=str(error))

    def _handle(self, child: ChildProcess, message: Message) -> None:
        flight = self._queue.current
        kind, seq, body = message
        if kind == "ready":
            self._ready = True
            self._backoff.reset()
        elif kind == "broken":
            self._kill_and_reap(child)
            self._not_started(str(body), child.log_buffer.kept())
        elif kind == "hello" or kind == "tasks" or kind == "go":
            raise ValueError(f"a message of kind {kind!r}")
        elif flight is None or seq != flight.seq:
            return  # of a task that was cancelled
        elif kind == "progress":
            flight.deadline = time.monotonic() + self._task_timeout
        else:
            seconds, why, printed = body if isinstance(body, list) else (body, "", False)
            self._attempt_ended(child, flight, kind, float(seconds), str(why), bool(printed))

    def _complete_quiet(self, child: ChildProcess, answers: Sequence[tuple[int, Any, float]]) -> None:
        """As `_attempt_ended` for each, of tasks that succeeded and printed nothing."""
        landed, following = self._queue.complete_all(answers)
        if landed:
            child.silent()
            if following is not None:
                following.deadline = following.began + self._task_timeout
                child.go_on(following.assignment)
        for _, _, seconds in answers:
            self._fast_streak = self._fast_streak + 1 if seconds <= _FAST_SECONDS else 0
        self._adjust_prefetch(answers[-1][2])

    def _adjust_prefetch(self, seconds: float) -> None:
        """So long took the latest task: how many fit into the time for which they may be with the child."""
        fitting = int(_PREFETCH_SECONDS / max(seconds, _PREFETCH_SECONDS / _MOST_PREFETCHED))
        self._prefetch = fitting if self._fast_streak >= _FAST_STREAK else 1

    def _attempt_ended(
        self, child: ChildProcess, flight: InFlight, kind: Kind, seconds: float, why: str, printed: bool
    ) -> None:
        output = b""
        if printed:
            output = child.output()
        else:
            child.silent()
        following = self._queue.complete(flight, _outcome(flight, kind, why, seconds, output))
        if following is not None:
            following.deadline = following.began + self._task_timeout
            if printed:
                child.begin(following.assignment)
            else:
                child.go_on(following.assignment)
        if printed:
            child.send("go")
        self._fast_streak = self._fast_streak + 1 if seconds <= _FAST_SECONDS and not printed else 0
        self._adjust_prefetch(seconds)

    def _time_out(self, child: ChildProcess, flight: InFlight) -> None:
        if self._queue.current is not flight:
            return  # it has just ended
        seconds = f"{self._task_timeout:g} s (taskTimeoutSeconds)"
        if flight.sent:
            remedy = "call self.progress() now and then in long tasks, or raise spec.taskTimeoutSeconds"
            self._fail(child, f"no progress for {seconds}, so the process was ended; {remedy}", flight)
        else:
            self._fail(child, f"the worker process was not ready after {seconds}: its imports or worker_init hang")

    def _fail(self, child: ChildProcess, message: str | None, only: InFlight | None = None) -> None:
        """End the child.  The task in flight, or `only` that, failed with `message`, None for what its status says."""
        was_ready, flight = self._ready, self._queue.detach_child()
        if only is not None and flight is not only:
            flight = None  # it was cancelled a moment ago, and this one has done nothing
        returncode, stderr = self._kill_and_reap(child)
        if message is None:
            if not was_ready:
                when = "before it was ready (at import, in worker_init, or without a call of kubemr.serve)"
            elif flight is not None:
                when = f"while it ran {flight.assignment}"
            else:
                when = "between two tasks"
            message = describe_exit(returncode, stderr, when=when)
        elif stderr.strip():
            message = f"{message}; the end of its stderr:\n{stderr.strip()}"
        if not was_ready:
            self._not_started(message, child.log_buffer.kept())
        elif flight is not None:
            self._complete_failed(flight, message, child.log_buffer.kept())
        self._queue.requeue_all()

    def _not_started(self, message: str, printed: bytes = b"") -> None:
        wait = self._backoff.next(random.random() / 2)
        self._not_before = time.monotonic() + wait
        self._log("child_start_failed", message=message, next_start_in_seconds=round(wait, 3))
        flight = self._queue.current
        if flight is not None:
            self._complete_failed(flight, message, printed)

    def _complete_failed(self, flight: InFlight, message: str, printed: bytes) -> None:
        seconds = time.monotonic() - flight.began
        self._queue.complete(flight, _outcome(flight, "failed", message, seconds, printed))

    def current_log(self) -> tuple[Assignment, bytes] | None:
        """See `ProcessExecutor.current_log`; in any thread."""
        child = self._child
        return None if child is None else child.log_buffer.current()

    def _kill_and_reap(self, child: ChildProcess) -> tuple[int, str]:
        self._queue.detach_child()
        child.kill()
        self._read_last_messages(child)
        returncode, stderr = child.end()
        self._child, self._ready = None, False
        self._log("child_ended", pid=child.pid, returncode=returncode)
        return returncode, stderr


def _is_quiet(message: Message) -> bool:
    """An answer that says no more than how long the task took."""
    return type(message.body) is float and message.kind in ("done", "empty")


def _outcome(flight: InFlight, kind: Kind, message: str, seconds: float, printed: bytes) -> Outcome:
    """How an attempt that ends now has ended.  Most have nothing to tell, and cost nothing here."""
    if kind != "failed" and not printed:
        return Outcome(flight.assignment, kind, message, seconds)
    now = time.time()
    start, end = milli_timestamp(now - seconds), milli_timestamp(now)
    log = AttemptLog(str(flight.assignment), printed, start, end, kind).encode() if printed else b""
    return Outcome(flight.assignment, kind, message, seconds, log, start, end)
