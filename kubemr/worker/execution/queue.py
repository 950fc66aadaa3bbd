"""What the runtime wants of user code, and what has come of it: the state that two sides share.

On one side the runtime's loop queues, waits, takes back and cancels.  On the other the driver, the thread
that owns the child, takes tasks in order and lands their outcomes.  Here is no process and no I/O but a
pipe on which the first side wakes the second.  Every method is safe in any thread.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from attr import define

from kubemr.worker.assignment import Assignment, Kind, Outcome

LINGER_SECONDS: Final = 0.1
"""How long outcomes may wait for one another."""


@define(eq=False)
class InFlight:
    """A task that is with the child; `began` and `deadline` by the monotonic clock, once the child is at it.

    `seq` tells it from every other of this process.  `sent` once the child has it: until then it waits for the
    start of the child, which is user code as well (its imports).
    """

    assignment: Assignment
    seq: int
    began: float = 0.0
    deadline: float = 0.0
    sent: bool = False


class ExecutionQueue:
    """Each assignment is in at most one place: the queue, in flight, or among the outcomes.

    Several may be in flight, in order: the child is at the first.  The others have not begun, as far as is known here;
    `recall` asks the child for those of which that is certain, and they are no longer with it then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        # All guarded by the lock.
        self._queue: deque[Assignment] = deque()
        self._in_flight: deque[InFlight] = deque()
        self._outcomes: list[Outcome] = []
        self._lingering = False  # an outcome alone is no news, as long as there is another to come
        self._seq = 0
        self._kill_requested = False  # the child is at something that nobody wants: nothing begins until it is killed
        self._interrupted = False
        self._stopping = False
        self._bug: BaseException | None = None
        self.recall: Callable[[], Collection[int]] = _nothing
        """Takes back what was given to the child and has not begun: the numbers of the flights."""
        self.wakeup_fd, self._wakeup_write_fd = os.pipe()
        """`bell` is readable when there is something for the driver to do."""

    # --- the loop's side

    def begin(self, assignments: Sequence[Assignment]) -> None:
        """Queue tasks."""
        with self._lock:
            if self._stopping:
                raise RuntimeError("this executor was stopped: no task can begin")
            self._queue.extend(assignments)
            self._wake_up()

    def wait(self, timeout: float) -> list[Outcome]:
        """The outcomes since the last call; waits for the first of outcome, `interrupt`, `stop` and time-out.

        While more is to come it lingers a little after the first, unless that failed: waking a thread for each of many
        quick tasks would cost more than they do.
        """
        with self._lock:
            began = time.monotonic()
            self._lingering = not any(outcome.kind == "failed" for outcome in self._outcomes)
            if not self._changed.wait_for(self._has_outcome, min(timeout, LINGER_SECONDS)):
                self._lingering = False
                self._changed.wait_for(self._has_outcome, timeout - (time.monotonic() - began))
            self._interrupted = False
            if self._bug is not None:
                raise RuntimeError("the executor's thread ended by an error of its own") from self._bug
            outcomes, self._outcomes = self._outcomes, []
            return outcomes

    def interrupt(self) -> None:
        """Make a `wait` that is going on, or the next one, return at once."""
        with self._lock:
            self._interrupted = True
            self._changed.notify_all()

    def take_back(self) -> list[Assignment]:
        """Empty the queue, also of what was in flight and has not begun."""
        with self._lock:
            self._recall()
            taken = list(self._queue)
            self._queue.clear()
            return taken

    def cancel(self, assignment: Assignment) -> bool:
        """Let go of an attempt wherever it is; False when it is nowhere."""
        with self._lock:
            if any(flight.assignment == assignment for flight in self._in_flight):
                self._recall()
            if assignment in self._queue:
                self._queue.remove(assignment)
                return True
            for flight in self._in_flight:
                if flight.assignment == assignment:
                    self._in_flight.remove(flight)
                    self._kill_requested = True
                    self._wake_up()
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
            self._changed.notify_all()
            self._wake_up()

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
    def current(self) -> InFlight | None:
        """The task that the child is at."""
        with self._lock:
            return self._in_flight[0] if self._in_flight else None

    @property
    def several(self) -> bool:
        """More than one task is with the child."""
        with self._lock:
            return len(self._in_flight) > 1

    def drain_wakeup(self) -> None:
        """Empty the bell's pipe."""
        os.read(self.wakeup_fd, 4096)

    def take_kill_request(self) -> bool:
        """True when the child is condemned; it is taken as killed from now on."""
        with self._lock:
            condemned, self._kill_requested = self._kill_requested, False
            return condemned

    def start_next(self, now: float, deadline: float) -> InFlight | None:
        """The task in flight; if there is none, it is the first of the queue from now on."""
        with self._lock:
            if not self._in_flight and self._queue and not self._kill_requested:
                self._start()
                self._in_flight[0].began, self._in_flight[0].deadline = now, deadline
            return self._in_flight[0] if self._in_flight else None

    def prefetch(self, count: int, give: Callable[[list[InFlight]], None]) -> None:
        """More tasks from the queue, so that `count` are in flight: the new ones are given to the child by `give`.

        That is done under the lock: what is in flight behind the first can always be recalled.
        """
        with self._lock:
            room = 0 if self._kill_requested else min(count - len(self._in_flight), len(self._queue))
            give([self._start() for _ in range(room)])

    def complete(self, flight: InFlight, outcome: Outcome) -> InFlight | None:
        """Record an outcome, unless the flight was cancelled meanwhile.  Gives the one that is next."""
        with self._lock:
            if self._in_flight and self._in_flight[0] is flight:
                self._in_flight.popleft()
                self._outcomes.append(outcome)
                if outcome.kind == "failed":
                    self._lingering = False
                if self._in_flight:
                    self._in_flight[0].began = time.monotonic()
                if self._has_outcome():
                    self._changed.notify_all()
            return self._in_flight[0] if self._in_flight else None

    def complete_all(self, answers: Iterable[tuple[int, Kind, float]]) -> tuple[int, InFlight | None]:
        """Record outcomes that need no word: the flight's number, kind, seconds; but for what was cancelled meanwhile.

        As `land` for each, in a third of the time.  Gives how many there were, and the flight that is next.
        """
        with self._lock:
            before = len(self._outcomes)
            for seq, kind, seconds in answers:
                if self._in_flight and self._in_flight[0].seq == seq:
                    self._outcomes.append(Outcome(self._in_flight.popleft().assignment, kind, "", seconds))
            landed = len(self._outcomes) - before
            if landed and self._in_flight:
                self._in_flight[0].began = time.monotonic()
            if landed and self._has_outcome():
                self._changed.notify_all()
            return landed, self._in_flight[0] if self._in_flight else None

    def detach_child(self) -> InFlight | None:
        """The child is to end: what it has not begun is in the queue again.  Gives what it is at."""
        with self._lock:
            self._recall()
            self.recall = _nothing
            return self._in_flight[0] if self._in_flight else None

    def requeue_all(self) -> None:
        """The child is no more: what was with it begins anew, before everything else."""
        with self._lock:
            self._queue_up(self._in_flight)
            self._in_flight.clear()

    def fail(self, bug: BaseException) -> None:
        """The driver has ended by a bug: whoever waits must hear of it."""
        with self._lock:
            self._bug = bug
            self._changed.notify_all()

    def close(self) -> None:
        """Close the pipe, after the driver has ended."""
        with self._lock:
            if self.wakeup_fd >= 0:
                os.close(self.wakeup_fd)
                os.close(self._wakeup_write_fd)
                self.wakeup_fd = self._wakeup_write_fd = -1

    # --- under the lock

    def _start(self) -> InFlight:
        self._seq += 1
        flight = InFlight(self._queue.popleft(), self._seq)
        self._in_flight.append(flight)
        return flight

    def _recall(self) -> None:
        numbers = self.recall()
        if numbers:
            self._queue_up(flight for flight in self._in_flight if flight.seq in numbers)
            self._in_flight = deque(flight for flight in self._in_flight if flight.seq not in numbers)
            self._wake_up()  # the driver may have been waiting for one of them

    def _queue_up(self, flights: Iterable[InFlight]) -> None:
        self._queue.extendleft(reversed([flight.assignment for flight in flights]))

    def _wake_up(self) -> None:
        if self._wakeup_write_fd >= 0:
            os.write(self._wakeup_write_fd, b".")

    def _has_outcome(self) -> bool:
        landed = bool(self._outcomes) and not (self._lingering and (self._queue or self._in_flight))
        return landed or self._interrupted or self._stopping or self._bug is not None


def _nothing() -> Collection[int]:
    return ()
