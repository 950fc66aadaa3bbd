"""The thread that owns the child: it starts it, sends it tasks, hears its answers, ends it.

One round of `_drive` begins what can begin, then waits for the first of: a message, the end of the
process, the task's deadline, the desk's bell; and deals with it.  Nothing is polled.

While tasks are quick and print nothing, the child is given several at once, as many as fit into `_AHEAD_SECONDS`: it
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
from kubemr.worker.execution.ipc import BadFrame, Message
from kubemr.worker.execution.queue import Desk, Flight

_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 10.0
_LAST_WORDS: Final = 1.0
"""How long a process may take to end after its channel has ended, before it is ended."""
_OVERSLEPT: Final = 1.0
"""A wake-up this much too late means that this process was stopped, its child with it: the time starts anew."""


_QUICK: Final = 0.001
"""Seconds that a quick task takes at most."""
_CALM: Final = 16
"""After so many quick tasks, one after another, the child is given several."""
_MOST: Final = 256
"""Tasks that are with the child at once, at most."""
_AHEAD_SECONDS: Final = 0.005
"""About so much work is with the child, at most."""
_REST: Final = 0.002
"""Seconds before answers are looked at when there is more than one to come."""


class Driver:
    """`run` is the body of the thread.  `spawn` starts a child; `log` takes an event name and fields."""

    def __init__(
        self,
        desk: Desk,
        job: JobInfo,
        task_timeout: float,
        spawn: Callable[[], ChildProcess],
        log: Callable[..., object],
    ) -> None:
        self._desk = desk
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
        self._calm = 0
        """How many quick tasks have ended since the last that was not."""
        self._ahead = 1
        """How many tasks may be with the child."""
        self._backoff = Backoff(_FIRST_WAIT, _LONGEST_WAIT)
        self._not_before = 0.0

    def run(self) -> None:
        """Until the desk stops.  No process of ours is left then."""
        try:
            while not self._desk.stopping:
                self._drive()
            if self._child is not None and self._ready and self._desk.flight is None and not self._desk.reprieve():
                self._child.hang_up(self.grace)
        except BaseException as error:
            self._desk.give_up(error)
            raise
        finally:
            if self._child is not None:
                self._bury(self._child)

    def _drive(self) -> None:
        if self._desk.reprieve() and self._child is not None:
            self._bury(self._child)
            self._desk.ground()
        self._begin()
        self._await()

    def _begin(self) -> None:
        now = time.monotonic()
        may_start = now >= self._not_before
        flight = None
        if self._child is not None or may_start:
            flight = self._desk.take_off(now, now + self._task_timeout)
        if self._child is None and may_start and (flight is not None or self.early):
            self.early = False
            self._start()
        if self._child is not None and self._ready and flight is not None:
            given = [] if flight.sent else [flight]
            if given:
                self._start_time(flight)
                self._child.begin(flight.assignment)
            self._desk.follow(self._ahead, partial(self._give, self._child, given))

    @staticmethod
    def _give(child: ChildProcess, first: list[Flight], following: list[Flight]) -> None:
        given = first + following
        if given:
            for each in given:
                each.sent = True
            child.give([(each.seq, *values_of(each.assignment)) for each in given])

    def _start(self) -> None:
        try:
            child = self._spawn()
        except OSError as error:
            self._not_started(f"the worker process could not be started: {error}")
            return
        self._child, self._ready, self._calm, self._ahead = child, False, 0, 1
        self._desk.recall = child.take_back
        self._log("child_started", pid=child.pid)
        job = {**asdict(self._job), "jobargs": dict(self._job.jobargs)}
        child.send("hello", body=[job, child.directory])

    def _await(self) -> None:
        poll = select.poll()
        poll.register(self._desk.bell, select.POLLIN)
        child, flight = self._child, self._desk.flight
        if flight is not None and not flight.began:
            self._leads(child, flight)
        before = time.monotonic()
        timeout = self._timeout(flight, before)
        if child is not None:
            poll.register(child.exited, select.POLLIN)
            if self._desk.several and not child.unsent:
                # One look at many answers, unless something else happens.
                poll.poll(_REST * 1000)
            poll.register(child.socket, select.POLLIN | (select.POLLOUT if child.unsent else 0))
        ready = {number for number, _ in poll.poll(None if timeout is None else timeout * 1000)}
        if timeout is not None and flight is not None and time.monotonic() - before - timeout > _OVERSLEPT:
            flight.deadline = time.monotonic() + self._task_timeout
        if self._desk.bell in ready:
            self._desk.hush()
        if child is None:
            return
        child.flush()
        if child.exited in ready or child.socket.fileno() in ready:
            self._hear(child, ended=child.exited in ready)
        if self._child is child and flight is not None and time.monotonic() >= flight.deadline:
            self._time_out(child, flight)

    def _leads(self, child: ChildProcess | None, flight: Flight) -> None:
        """It was given ahead, and is the first since others were taken back or cancelled."""
        self._start_time(flight)
        if child is not None:
            child.go_on(flight.assignment)

    def _start_time(self, flight: Flight) -> None:
        flight.began = time.monotonic()
        flight.deadline = flight.began + self._task_timeout

    def _timeout(self, flight: Flight | None, now: float) -> float | None:
        if flight is not None:
            return max(0.0, flight.deadline - now)
        if self._child is None and (self.early or self._desk.waiting):
            return max(0.0, self._not_before - now)
        return None

    def _hear(self, child: ChildProcess, ended: bool) -> None:
        """Read the channel, whose last messages count even when the process has ended since."""
        try:
            messages, bad = self._receive(child)
            for quiet, group in groupby(messages or (), _is_quiet):
                if quiet:
                    self._land_quiet(child, [(seq, kind, seconds) for kind, seq, seconds in group])
                else:
                    for message in group:
                        self._take(child, message)
            if bad is not None:
                raise bad
        except (BadFrame, LookupError, TypeError, ValueError) as error:
            self._fail(child, f"user code wrote to kubemr's own socket in its process ({error}): print to stdout")
            return
        if self._child is not child:
            return
        if ended or (messages is None and child.wait(_LAST_WORDS)):
            self._fail(child, None)
        elif messages is None:
            self._fail(child, "user code closed kubemr's own socket in this process; close only files that you opened")

    def _receive(self, child: ChildProcess) -> tuple[Sequence[Message] | None, BadFrame | None]:
        """What has arrived, and what is wrong with what came after it."""
        try:
            return child.receive(), None
        except BadFrame as bad:
            return bad.before, bad

    def _hear_last(self, child: ChildProcess) -> None:
        """The answers that came before it was killed; nothing else of it counts any more."""
        try:
            for message in self._receive(child)[0] or ():
                if message.kind in ("done", "empty", "failed"):
                    self._take(child, message)
        except (LookupError, TypeError, ValueError) as error:
            self._log("child_said_nonsense", error=str(error))

    def _take(self, child: ChildProcess, message: Message) -> None:
        flight = self._desk.flight
        kind, seq, body = message
        if kind == "ready":
            self._ready = True
            self._backoff.reset()
        elif kind == "broken":
            self._bury(child)
            self._not_started(str(body), child.printed.kept())
        elif kind == "hello" or kind == "tasks" or kind == "go":
            raise ValueError(f"a message of kind {kind!r}")
        elif flight is None or seq != flight.seq:
            return  # of a task that was cancelled
        elif kind == "progress":
            flight.deadline = time.monotonic() + self._task_timeout
        else:
            seconds, why, printed = body if isinstance(body, list) else (body, "", False)
            self._ended(child, flight, kind, float(seconds), str(why), bool(printed))

    def _land_quiet(self, child: ChildProcess, answers: Sequence[tuple[int, Any, float]]) -> None:
        """As `_ended` for each, of tasks that did not fail and printed nothing: the last one says how to go on."""
        landed, following = self._desk.land_all(answers)
        if landed:
            child.silent()
            if following is not None:
                following.deadline = following.began + self._task_timeout
                child.go_on(following.assignment)
        for _, _, seconds in answers:
            self._calm = self._calm + 1 if seconds <= _QUICK else 0
        self._look_ahead(answers[-1][2])

    def _look_ahead(self, seconds: float) -> None:
        """So long took the latest task: how many fit into the time for which they may be with the child."""
        fitting = int(_AHEAD_SECONDS / max(seconds, _AHEAD_SECONDS / _MOST))
        self._ahead = fitting if self._calm >= _CALM else 1

    def _ended(self, child: ChildProcess, flight: Flight, kind: Kind, seconds: float, why: str, printed: bool) -> None:
        output = b""
        if printed:
            output = child.output()
        else:
            child.silent()
        following = self._desk.land(flight, _outcome(flight, kind, why, seconds, output))
        if following is not None:
            following.deadline = following.began + self._task_timeout
            if printed:
                child.begin(following.assignment)
            else:
                child.go_on(following.assignment)
        if printed:
            child.send("go")
        self._calm = self._calm + 1 if seconds <= _QUICK and not printed else 0
        self._look_ahead(seconds)

    def _time_out(self, child: ChildProcess, flight: Flight) -> None:
        if self._desk.flight is not flight:
            return  # it has just ended
        seconds = f"{self._task_timeout:g} s (taskTimeoutSeconds)"
        if flight.sent:
            remedy = "call self.progress() now and then in long tasks, or raise spec.taskTimeoutSeconds"
            self._fail(child, f"no progress for {seconds}, so the process was ended; {remedy}", flight)
        else:
            self._fail(child, f"the worker process was not ready after {seconds}: its imports or worker_init hang")

    def _fail(self, child: ChildProcess, message: str | None, only: Flight | None = None) -> None:
        """End the child.  The task in flight, or `only` that, failed with `message`, None for what its status says."""
        was_ready, flight = self._ready, self._desk.part()
        if only is not None and flight is not only:
            flight = None  # it was cancelled a moment ago, and this one has done nothing
        returncode, stderr = self._bury(child)
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
            self._not_started(message, child.printed.kept())
        elif flight is not None:
            self._land_failed(flight, message, child.printed.kept())
        self._desk.ground()

    def _not_started(self, message: str, printed: bytes = b"") -> None:
        wait = self._backoff.next(random.random() / 2)
        self._not_before = time.monotonic() + wait
        self._log("child_not_started", message=message, next_start_in_seconds=round(wait, 3))
        flight = self._desk.flight
        if flight is not None:
            self._land_failed(flight, message, printed)

    def _land_failed(self, flight: Flight, message: str, printed: bytes) -> None:
        seconds = time.monotonic() - flight.began
        self._desk.land(flight, _outcome(flight, "failed", message, seconds, printed))

    def so_far(self) -> tuple[Assignment, bytes] | None:
        """See `ProcessExecutor.so_far`; in any thread."""
        child = self._child
        return None if child is None else child.printed.so_far()

    def _bury(self, child: ChildProcess) -> tuple[int, str]:
        self._desk.part()
        child.kill()
        self._hear_last(child)
        returncode, stderr = child.end()
        self._child, self._ready = None, False
        self._log("child_ended", pid=child.pid, returncode=returncode)
        return returncode, stderr


def _is_quiet(message: Message) -> bool:
    """An answer that says no more than how long the task took."""
    return type(message.body) is float and message.kind in ("done", "empty")


def _outcome(flight: Flight, kind: Kind, message: str, seconds: float, printed: bytes) -> Outcome:
    """How an attempt that ends now has ended.  Most have nothing to tell, and cost nothing here."""
    if kind != "failed" and not printed:
        return Outcome(flight.assignment, kind, message, seconds)
    now = time.time()
    start, end = milli_timestamp(now - seconds), milli_timestamp(now)
    log = AttemptLog(str(flight.assignment), printed, start, end, kind).encode() if printed else b""
    return Outcome(flight.assignment, kind, message, seconds, log, start, end)
