"""The thread-safe queue between the worker's loop and the thread that owns the child process.

The loop submits attempts, waits for outcomes, withdraws and cancels.
The supervisor, the thread that owns the child, takes attempts in order and records their outcomes.
The queue starts no process.
Its only I/O is a pipe by which the loop wakes the supervisor.
Every method is safe in any thread.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from attr import define

from kubemr.worker.assignment import Assignment, Outcome, OutcomeKind

LINGER_SECONDS: Final = 0.1
"""How long `wait` holds back an outcome while others may follow (as `linger.ms` of Kafka's producer)."""


@define(eq=False)
class InFlight:
    """An attempt that has left the queue for the child and has no outcome yet.

    `seq` is unique in this process.
    `started_at` and `deadline` are times of the monotonic clock, and are set once the child runs the attempt.
    `sent` is False until the attempt has been sent to the child.
    Until then it waits for the start of the child, which runs user code as well (imports).
    """

    assignment: Assignment
    seq: int
    started_at: float = 0.0
    deadline: float = 0.0
    sent: bool = False


class ExecutionQueue:
    """Holds each attempt in at most one place: queued, in flight, or among the outcomes.

    Several attempts may be in flight, in order: the child runs the first.
    As far as this process knows, the others have not begun.
    `recall` takes from the child those that certainly have not begun; the child never runs them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        # The lock guards all of these.
        self._queue: deque[Assignment] = deque()
        self._in_flight: deque[InFlight] = deque()
        self._outcomes: list[Outcome] = []
        self._lingering = False  # `wait` returns no outcome yet while another attempt is queued or in flight
        self._seq = 0
        self._kill_requested = False  # the child runs a cancelled attempt: nothing starts until the child is killed
        self._interrupted = False
        self._stopping = False
        self._error: BaseException | None = None
        self.recall: Callable[[], Collection[int]] = _recall_nothing
        """Recall attempts from the child that have not begun, and return their `seq`."""
        self.wakeup_fd, self._wakeup_write_fd = os.pipe()
        """`wakeup_fd` is readable when the supervisor has something to do."""

    # --- called by the worker's loop

    def submit(self, assignments: Sequence[Assignment]) -> None:
        """Add attempts to the end of the queue."""
        with self._lock:
            if self._stopping:
                raise RuntimeError("this executor was stopped: no task can begin")
            self._queue.extend(assignments)
            self._wake_supervisor()

    def wait(self, timeout: float) -> list[Outcome]:
        """Return the outcomes since the last call; wait for an outcome, `interrupt`, `stop` or `timeout` seconds.

        While more attempts are queued or in flight, `wait` lingers after the first outcome, unless that is a failure.
        To wake a thread for each of many quick tasks would cost more than the tasks.
        """
        with self._lock:
            began = time.monotonic()
            self._lingering = not any(outcome.kind == "failed" for outcome in self._outcomes)
            if not self._changed.wait_for(self._wait_is_over, min(timeout, LINGER_SECONDS)):
                self._lingering = False
                self._changed.wait_for(self._wait_is_over, timeout - (time.monotonic() - began))
            self._interrupted = False
            if self._error is not None:
                raise RuntimeError("the executor's thread ended with an internal error") from self._error
            outcomes, self._outcomes = self._outcomes, []
            return outcomes

    def interrupt(self) -> None:
        """Make the current `wait`, or else the next one, return immediately."""
        with self._lock:
            self._interrupted = True
            self._changed.notify_all()

    def withdraw(self) -> list[Assignment]:
        """Remove and return all attempts that have not begun, including those that the child can return."""
        with self._lock:
            self._recall_from_child()
            withdrawn = list(self._queue)
            self._queue.clear()
            return withdrawn

    def cancel(self, assignment: Assignment) -> bool:
        """Remove an attempt wherever it is, and request a kill if the child runs it; return False if it is nowhere."""
        with self._lock:
            if any(in_flight.assignment == assignment for in_flight in self._in_flight):
                self._recall_from_child()
            if assignment in self._queue:
                self._queue.remove(assignment)
                return True
            for in_flight in self._in_flight:
                if in_flight.assignment == assignment:
                    self._in_flight.remove(in_flight)
                    self._kill_requested = True
                    self._wake_supervisor()
                    return True
            others = [outcome for outcome in self._outcomes if outcome.assignment != assignment]
            found = len(others) < len(self._outcomes)
            self._outcomes = others
            return found

    def stop(self) -> None:
        """Empty the queue, and start no attempt from now on."""
        with self._lock:
            self._stopping = True
            self._queue.clear()
            self._changed.notify_all()
            self._wake_supervisor()

    # --- called by the supervisor

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        with self._lock:
            return self._stopping

    @property
    def has_queued(self) -> bool:
        """Whether attempts are queued."""
        with self._lock:
            return bool(self._queue)

    @property
    def running(self) -> InFlight | None:
        """The first attempt in flight: the one that the child runs."""
        with self._lock:
            return self._in_flight[0] if self._in_flight else None

    @property
    def has_prefetched(self) -> bool:
        """Whether more than one attempt is in flight."""
        with self._lock:
            return len(self._in_flight) > 1

    def drain_wakeup(self) -> None:
        """Empty the pipe of `wakeup_fd`."""
        os.read(self.wakeup_fd, 4096)

    def take_kill_request(self) -> bool:
        """Return whether the child must be killed, and clear the request."""
        with self._lock:
            requested, self._kill_requested = self._kill_requested, False
            return requested

    def start_next(self, now: float, deadline: float) -> InFlight | None:
        """Return the running attempt; if there is none, move the first one of the queue in flight."""
        with self._lock:
            if not self._in_flight and self._queue and not self._kill_requested:
                self._move_next_in_flight()
                self._in_flight[0].started_at, self._in_flight[0].deadline = now, deadline
            return self._in_flight[0] if self._in_flight else None

    def prefetch(self, count: int, send: Callable[[list[InFlight]], None]) -> None:
        """Move attempts in flight until there are `count`, and call `send` with the added ones.

        `send` runs under the lock, so that all attempts in flight behind the first can always be recalled.
        """
        with self._lock:
            room = 0 if self._kill_requested else min(count - len(self._in_flight), len(self._queue))
            send([self._move_next_in_flight() for _ in range(room)])

    def complete(self, in_flight: InFlight, outcome: Outcome) -> InFlight | None:
        """Record an outcome, unless the attempt was cancelled in the meantime; return the next running attempt."""
        with self._lock:
            if self._in_flight and self._in_flight[0] is in_flight:
                self._in_flight.popleft()
                self._outcomes.append(outcome)
                if outcome.kind == "failed":
                    self._lingering = False
                if self._in_flight:
                    self._in_flight[0].started_at = time.monotonic()
                if self._wait_is_over():
                    self._changed.notify_all()
            return self._in_flight[0] if self._in_flight else None

    def complete_all(self, results: Iterable[tuple[int, OutcomeKind, float]]) -> tuple[int, InFlight | None]:
        """Record outcomes without a message, each given as `seq`, kind and seconds, except those of cancelled attempts.

        Return how many were recorded, and the next running attempt.
        This does the same as `complete` for each result, in a third of the time.
        """
        with self._lock:
            before = len(self._outcomes)
            for seq, kind, seconds in results:
                if self._in_flight and self._in_flight[0].seq == seq:
                    self._outcomes.append(Outcome(self._in_flight.popleft().assignment, kind, "", seconds))
            recorded = len(self._outcomes) - before
            if recorded and self._in_flight:
                self._in_flight[0].started_at = time.monotonic()
            if recorded and self._wait_is_over():
                self._changed.notify_all()
            return recorded, self._in_flight[0] if self._in_flight else None

    def detach_child(self) -> InFlight | None:
        """Queue again what the child, which is about to end, has not begun; return what it runs."""
        with self._lock:
            self._recall_from_child()
            self.recall = _recall_nothing
            return self._in_flight[0] if self._in_flight else None

    def requeue_all(self) -> None:
        """Queue all attempts in flight again, before the others; called after the child has ended."""
        with self._lock:
            self._requeue(self._in_flight)
            self._in_flight.clear()

    def fail(self, error: BaseException) -> None:
        """Make `wait` raise an error, because the supervisor has ended by a bug."""
        with self._lock:
            self._error = error
            self._changed.notify_all()

    def close(self) -> None:
        """Close the pipe, after the supervisor has ended."""
        with self._lock:
            if self.wakeup_fd >= 0:
                os.close(self.wakeup_fd)
                os.close(self._wakeup_write_fd)
                self.wakeup_fd = self._wakeup_write_fd = -1

    # --- called with the lock held

    def _move_next_in_flight(self) -> InFlight:
        self._seq += 1
        in_flight = InFlight(self._queue.popleft(), self._seq)
        self._in_flight.append(in_flight)
        return in_flight

    def _recall_from_child(self) -> None:
        recalled = self.recall()
        if recalled:
            self._requeue(in_flight for in_flight in self._in_flight if in_flight.seq in recalled)
            self._in_flight = deque(in_flight for in_flight in self._in_flight if in_flight.seq not in recalled)
            self._wake_supervisor()  # it may have been waiting for one of these attempts

    def _requeue(self, attempts: Iterable[InFlight]) -> None:
        self._queue.extendleft(reversed([in_flight.assignment for in_flight in attempts]))

    def _wake_supervisor(self) -> None:
        if self._wakeup_write_fd >= 0:
            os.write(self._wakeup_write_fd, b".")

    def _wait_is_over(self) -> bool:
        has_outcome = bool(self._outcomes) and not (self._lingering and (self._queue or self._in_flight))
        return has_outcome or self._interrupted or self._stopping or self._error is not None


def _recall_nothing() -> Collection[int]:
    return ()
