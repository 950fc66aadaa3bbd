"""An executor without processes: a task takes a given time, and no call blocks.

For many workers in one process, in virtual or real time: `seconds_until_outcome` returns how long to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from attr import define, field, frozen

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView, Stage
from kubemr.tasks.state import TaskState, Token, attempt_of

WAIT: str = "wait for tasks"
"""The name of the effect by which the worker's loop waits for the executor (`Do.what`)."""


@frozen
class LightTask:
    """One attempt at one task."""

    stage: str
    number: int
    prefix: str
    attempt: str = ""


@frozen
class LightOutcome:
    """The outcome of a task: no output, because no test reads it."""

    assignment: LightTask
    kind: Literal["done", "empty", "failed"] = "empty"
    message: str = ""
    log: bytes = b""
    start: str = ""
    end: str = ""


@define
class LightExecutor:
    """Runs attempts that take `seconds` each, by the `clock` of the driver."""

    clock: Callable[[], float]
    seconds: Callable[[LightTask], float]
    ran: int = 0
    _queue: list[LightTask] = field(factory=list)
    _current: tuple[LightTask, float] | None = None

    def submit(self, assignments: Sequence[LightTask]) -> None:
        """Queue attempts."""
        self._queue += assignments
        self._next()

    def seconds_until_outcome(self, timeout: float) -> float:
        """Return the seconds until there may be an outcome, at most `timeout`."""
        if self._current is None:
            return timeout
        return min(timeout, max(0.0, self._current[1] - self.clock()))

    def wait(self, timeout: float) -> Sequence[LightOutcome]:
        """Return the outcomes of attempts that have ended by now."""
        ended: list[LightOutcome] = []
        while self._current is not None and self._current[1] <= self.clock():
            ended.append(LightOutcome(self._current[0]))
            self.ran += 1
            self._current = None
            self._next()
        return ended

    def withdraw(self) -> Sequence[LightTask]:
        """Remove and return the attempts that have not begun."""
        queue, self._queue = self._queue, []
        return queue

    def current_log(self) -> tuple[LightTask, bytes] | None:
        """Return None, because attempts print nothing."""
        return None

    def cancel(self, assignment: LightTask) -> None:
        """Remove the attempt."""
        if self._current is not None and self._current[0] == assignment:
            self._current = None
            self._next()

    def _next(self) -> None:
        if self._current is None and self._queue:
            task = self._queue.pop(0)
            self._current = (task, self.clock() + self.seconds(task))


def light_assigner(token: Token) -> Callable[[JobView, Stage, int, TaskState], LightTask]:
    """Return a function that makes assignments for the worker with this token."""

    def make(job: JobView, stage: Stage, number: int, state: TaskState) -> LightTask:
        attempt = attempt_of(state.epoch, token)
        prefix = names.attempt_prefix(job.storage_prefix, stage.step, stage.name, number, attempt)
        return LightTask(stage.name, number, prefix, attempt)

    return make
