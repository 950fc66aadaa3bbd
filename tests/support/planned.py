"""An executor in the bench's virtual time: each attempt takes as long, and ends as, the plan says."""

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
    """How it ended."""

    assignment: PlannedTask
    kind: Kind
    message: str = ""
    log: bytes = b""
    start: str = ""
    end: str = ""


@define
class PlannedExecutor:
    """`seconds` and `kind` tell, for each attempt, how long it takes and how it ends."""

    bench: Bench
    seconds: Callable[[PlannedTask], float] = lambda piece: 0.01
    kind: Callable[[PlannedTask], Kind] = lambda piece: "done"
    printed: Callable[[PlannedTask], bytes] = lambda piece: b""
    queue: list[PlannedTask] = field(factory=list)
    current: tuple[PlannedTask, float] | None = None
    begun: list[PlannedTask] = field(factory=list)
    cancelled: list[PlannedTask] = field(factory=list)
    batches: list[int] = field(factory=list)
    while_waiting: Callable[[], object] = lambda: None

    def submit(self, assignments: Sequence[PlannedTask]) -> None:
        """Queue them."""
        self.batches.append(len(assignments))
        self.queue += assignments
        self._next()

    def wait(self, timeout: float) -> Sequence[PlannedOutcome]:
        """The one that ends within `timeout` seconds of virtual time, which pass."""
        self.while_waiting()
        if self.current is None or self.current[1] > self.bench.now + timeout:
            self.bench.now += timeout
            return []
        piece, due = self.current
        self.bench.now = max(self.bench.now, due)
        self.current = None
        self._next()
        kind = self.kind(piece)
        if kind == "done":
            self.bench.store.put(piece.prefix + OUTPUTS, encode_outputs({piece.number: f"out-{piece.attempt}"}))
        message = "ValueError: no" if kind == "failed" else ""
        return [PlannedOutcome(piece, kind, message, self.printed(piece), "began", "ended")]

    def withdraw(self) -> Sequence[PlannedTask]:
        """Those that have not begun."""
        queue, self.queue = self.queue, []
        return queue

    def current_log(self) -> tuple[PlannedTask, bytes] | None:
        """What `printed` says of the one that runs."""
        text = b"" if self.current is None else self.printed(self.current[0])
        return (self.current[0], text) if self.current is not None and text else None

    def cancel(self, assignment: PlannedTask) -> None:
        """Forget it."""
        self.cancelled.append(assignment)
        if self.current is not None and self.current[0] == assignment:
            self.current = None
            self._next()
        elif assignment in self.queue:
            self.queue.remove(assignment)

    def _next(self) -> None:
        if self.current is None and self.queue:
            piece = self.queue.pop(0)
            self.begun.append(piece)
            self.current = (piece, self.bench.now + self.seconds(piece))


def planned_assigner(token: Token) -> Callable[[JobView, Stage, int, TaskState], PlannedTask]:
    """How a worker with this token makes its assignments."""

    def make(job: JobView, stage: Stage, number: int, state: TaskState) -> PlannedTask:
        attempt = attempt_of(state.epoch, token)
        prefix = names.attempt_prefix(job.storage_prefix, stage.step, stage.name, number, attempt)
        return PlannedTask(stage.name, number, attempt, prefix)

    return make


def worker_of(
    bench: Bench, job: JobView, index: int = 0, *, entropy: int = 0, takes_lease: bool = True
) -> tuple[Worker[PlannedTask], PlannedExecutor]:
    """A worker of the job that holds its Lease, and its executor."""
    token = make_token(index, entropy)
    identity = Identity(job.namespace, job.name, job.uid, job.run, token, LEASE_SECONDS)
    executor = PlannedExecutor(bench)
    if takes_lease:
        bench.hold_lease(job, index, token)
    return Worker(identity, executor, bench.dependencies, planned_assigner(token)), executor
