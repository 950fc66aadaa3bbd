"""What the runtime wants of user code, and what has come of it: the state that two sides share.

On one side the runtime's loop queues, waits, takes back and cancels.  On the other the driver, the thread
that owns the child, takes one task at a time and lands its outcome.  Here is no process and no I/O but a
pipe on which the first side wakes the second.  Every method is safe in any thread.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from attr import define

from kubemr.worker.assignment import Assignment, Outcome

LINGER_SECONDS: Final = 0.1
"""How long outcomes may wait for one another."""


@define(eq=False)
class Flight:
    """The task that the child is at; `began` and `deadline` by the monotonic clock.

    `seq` tells it from every other of this process.  `sent` once the child has it: until then it waits for the
    start of the child, which is user code as well (its imports).
    """

    assignment: Assignment
    seq: int
    began: float
    deadline: float
    sent: bool = False


class Desk:
    """Each assignment is in at most one place: the queue, in flight, or among the outcomes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        # All guarded by the lock.
        self._queue: deque[Assignment] = deque()
        self._flight: Flight | None = None
        self._outcomes: list[Outcome] = []
        self._lingering = False  # an outcome alone is no news, as long as there is another to come
        self._seq = 0
        self._condemned = False  # the child is at something that nobody wants: nothing begins until it is killed
        self._interrupted = False
        self._stopping = False
        self._bug: BaseException | None = None
        self.bell, self._bell_pull = os.pipe()
        """`bell` is readable when there is something for the driver to do."""

    # --- the loop's side

    def begin(self, assignments: Sequence[Assignment]) -> None:
        """Queue tasks."""
        with self._lock:
            if self._stopping:
                raise RuntimeError("this executor was stopped: no task can begin")
            self._queue.extend(assignments)
            self._ring()

    def wait(self, timeout: float) -> list[Outcome]:
        """The outcomes since the last call; waits for the first of outcome, `interrupt`, `stop` and time-out.

        While more is to come it lingers a little after the first, unless that failed: waking a thread for each of many
        quick tasks would cost more than they do.
        """
        with self._lock:
            began = time.monotonic()
            self._lingering = not any(outcome.kind == "failed" for outcome in self._outcomes)
            if not self._news.wait_for(self._has_news, min(timeout, LINGER_SECONDS)):
                self._lingering = False
                self._news.wait_for(self._has_news, timeout - (time.monotonic() - began))
            self._interrupted = False
            if self._bug is not None:
                raise RuntimeError("the executor's thread ended by an error of its own") from self._bug
            outcomes, self._outcomes = self._outcomes, []
            return outcomes

    def interrupt(self) -> None:
        """Make a `wait` that is going on, or the next one, return at once."""
        with self._lock:
            self._interrupted = True
            self._news.notify_all()

    def take_back(self) -> list[Assignment]:
        """Empty the queue."""
        with self._lock:
            taken = list(self._queue)
            self._queue.clear()
            return taken

    def running(self) -> tuple[Assignment, float] | None:
        """The task in flight, and for how many seconds it has been."""
        with self._lock:
            if self._flight is None:
                return None
            return self._flight.assignment, time.monotonic() - self._flight.began

    def cancel(self, assignment: Assignment) -> bool:
        """Let go of an attempt wherever it is; False when it is nowhere."""
        with self._lock:
            if self._flight is not None and self._flight.assignment == assignment:
                self._flight = None
                self._condemned = True
                self._ring()
                return True
            if assignment in self._queue:
                self._queue.remove(assignment)
                return True
            kept = [outcome for outcome in self._outcomes if outcome.assignment != assignment]
            found = len(kept) < len(self._outcomes)
            self._outcomes = kept
            return found

    def stop(self) -> None:
        """Nothing begins from now on."""
        with self._lock:
            self._stopping = True
            self._queue.clear()
            self._news.notify_all()
            self._ring()

    # --- the driver's side

    @property
    def stopping(self) -> bool:
        """`stop` was called."""
        with self._lock:
            return self._stopping

    @property
    def waiting(self) -> bool:
        """There are tasks in the queue."""
        with self._lock:
            return bool(self._queue)

    @property
    def flight(self) -> Flight | None:
        """The task in flight."""
        with self._lock:
            return self._flight

    def hush(self) -> None:
        """Empty the bell's pipe."""
        os.read(self.bell, 4096)

    def reprieve(self) -> bool:
        """True when the child is condemned; it is taken as killed from now on."""
        with self._lock:
            condemned, self._condemned = self._condemned, False
            return condemned

    def take_off(self, now: float, deadline: float) -> None:
        """The first of the queue is in flight, unless another still is."""
        with self._lock:
            if self._flight is None and self._queue and not self._condemned:
                self._seq += 1
                self._flight = Flight(self._queue.popleft(), self._seq, now, deadline)

    def land(self, flight: Flight, outcome: Outcome) -> None:
        """Record an outcome, unless the flight was cancelled meanwhile."""
        with self._lock:
            if self._flight is flight:
                self._flight = None
                self._outcomes.append(outcome)
                if outcome.kind == "failed":
                    self._lingering = False
                if self._has_news():
                    self._news.notify_all()

    def give_up(self, bug: BaseException) -> None:
        """The driver has ended by a bug: whoever waits must hear of it."""
        with self._lock:
            self._bug = bug
            self._news.notify_all()

    def close(self) -> None:
        """Close the pipe, after the driver has ended."""
        with self._lock:
            if self.bell >= 0:
                os.close(self.bell)
                os.close(self._bell_pull)
                self.bell = self._bell_pull = -1

    # --- under the lock

    def _ring(self) -> None:
        if self._bell_pull >= 0:
            os.write(self._bell_pull, b".")

    def _has_news(self) -> bool:
        landed = bool(self._outcomes) and not (self._lingering and (self._queue or self._flight))
        return landed or self._interrupted or self._stopping or self._bug is not None
