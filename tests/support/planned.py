"""An executor in the bench's virtual time: each attempt takes as long, and ends as, the test plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from attr import define, field, frozen

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView, Stage
from kubemr.coordination.outputs import OUTPUTS, encode_outputs
from kubemr.tasks.state import TaskState, Token, attempt_of, make_token
from kubemr.worker.scheduling.identity import Identity
from kubemr.worker.scheduling.loop import Worker
from support.bench import LEASE_SECONDS, Bench

Kind = Literal["done", "empty", "failed"]


@frozen
class PlannedTask:
    """One attempt at one task."""

    stage: str
    number: int
    attempt: str
    prefix: str


@frozen
class PlannedOutcome:
    """How an attempt ended."""

    assignment: PlannedTask
    kind: Kind
    message: str = ""
    log: bytes = b""
    start: str = ""
    end: str = ""


@define
class PlannedExecutor:
    """Runs attempts; `seconds`, `kind` and `printed` return, for each attempt, its duration, its end and its output."""

    bench: Bench
    seconds: Callable[[PlannedTask], float] = lambda task: 0.01
    kind: Callable[[PlannedTask], Kind] = lambda task: "done"
    printed: Callable[[PlannedTask], bytes] = lambda task: b""
    queue: list[PlannedTask] = field(factory=list)
    current: tuple[PlannedTask, float] | None = None
    begun: list[PlannedTask] = field(factory=list)
    cancelled: list[PlannedTask] = field(factory=list)
    batches: list[int] = field(factory=list)
    while_waiting: Callable[[], object] = lambda: None

    def submit(self, assignments: Sequence[PlannedTask]) -> None:
        """Queue attempts."""
        self.batches.append(len(assignments))
        self.queue += assignments
        self._next()

    def wait(self, timeout: float) -> Sequence[PlannedOutcome]:
        """Let virtual time pass until an attempt ends, at most `timeout` seconds; return its outcome."""
        self.while_waiting()
        if self.current is None or self.current[1] > self.bench.now + timeout:
            self.bench.now += timeout
            return []
        task, due = self.current
        self.bench.now = max(self.bench.now, due)
        self.current = None
        self._next()
        kind = self.kind(task)
        if kind == "done":
            self.bench.store.put(task.prefix + OUTPUTS, encode_outputs({task.number: f"out-{task.attempt}"}))
        message = "ValueError: no" if kind == "failed" else ""
        return [PlannedOutcome(task, kind, message, self.printed(task), "began", "ended")]

    def withdraw(self) -> Sequence[PlannedTask]:
        """Remove and return the attempts that have not begun."""
        queue, self.queue = self.queue, []
        return queue

    def current_log(self) -> tuple[PlannedTask, bytes] | None:
        """Return the running attempt and its output."""
        text = b"" if self.current is None else self.printed(self.current[0])
        return (self.current[0], text) if self.current is not None and text else None

    def cancel(self, assignment: PlannedTask) -> None:
        """Remove the attempt."""
        self.cancelled.append(assignment)
        if self.current is not None and self.current[0] == assignment:
            self.current = None
            self._next()
        elif assignment in self.queue:
            self.queue.remove(assignment)

    def _next(self) -> None:
        if self.current is None and self.queue:
            task = self.queue.pop(0)
            self.begun.append(task)
            self.current = (task, self.bench.now + self.seconds(task))


def planned_assigner(token: Token) -> Callable[[JobView, Stage, int, TaskState], PlannedTask]:
    """Return a function that makes assignments for the worker with this token."""

    def make(job: JobView, stage: Stage, number: int, state: TaskState) -> PlannedTask:
        attempt = attempt_of(state.epoch, token)
        prefix = names.attempt_prefix(job.storage_prefix, stage.step, stage.name, number, attempt)
        return PlannedTask(stage.name, number, attempt, prefix)

    return make


def worker_of(
    bench: Bench, job: JobView, index: int = 0, *, entropy: int = 0, takes_lease: bool = True
) -> tuple[Worker[PlannedTask], PlannedExecutor]:
    """Return a worker of the job that holds its Lease, and its executor."""
    token = make_token(index, entropy)
    identity = Identity(job.namespace, job.name, job.uid, job.run, token, LEASE_SECONDS)
    executor = PlannedExecutor(bench)
    if takes_lease:
        bench.hold_lease(job, index, token)
    return Worker(identity, executor, bench.dependencies, planned_assigner(token)), executor
