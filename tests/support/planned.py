"""An executor in the bench's virtual time: each attempt takes as long, and ends as, the plan says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from attr import define, field, frozen

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView, Stage
from kubemr.coordination.outputs import OUTPUTS, encode_outputs
from kubemr.tasks.state import TaskState, Token, attempt_of, make_token
from kubemr.worker.scheduling.loop import Identity, Worker
from support.bench import LEASE_SECONDS, Bench

Kind = Literal["done", "empty", "failed"]


@frozen
class Piece:
    """One attempt at one task."""

    stage: str
    number: int
    attempt: str
    prefix: str


@frozen
class Ended:
    """How it ended."""

    assignment: Piece
    kind: Kind
    message: str = ""
    log: bytes = b""
    start: str = ""
    end: str = ""


@define
class PlannedExecutor:
    """`seconds` and `kind` tell, for each attempt, how long it takes and how it ends."""

    bench: Bench
    seconds: Callable[[Piece], float] = lambda piece: 0.01
    kind: Callable[[Piece], Kind] = lambda piece: "done"
    printed: Callable[[Piece], bytes] = lambda piece: b""
    queue: list[Piece] = field(factory=list)
    current: tuple[Piece, float] | None = None
    begun: list[Piece] = field(factory=list)
    cancelled: list[Piece] = field(factory=list)
    batches: list[int] = field(factory=list)
    while_waiting: Callable[[], object] = lambda: None

    def begin(self, assignments: Sequence[Piece]) -> None:
        """Queue them."""
        self.batches.append(len(assignments))
        self.queue += assignments
        self._next()

    def wait(self, timeout: float) -> Sequence[Ended]:
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
        return [Ended(piece, kind, message, self.printed(piece), "began", "ended")]

    def take_back(self) -> Sequence[Piece]:
        """Those that have not begun."""
        queue, self.queue = self.queue, []
        return queue

    def current_log(self) -> tuple[Piece, bytes] | None:
        """What `printed` says of the one that runs."""
        text = b"" if self.current is None else self.printed(self.current[0])
        return (self.current[0], text) if self.current is not None and text else None

    def cancel(self, assignment: Piece) -> None:
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


def assign(token: Token) -> Callable[[JobView, Stage, int, TaskState], Piece]:
    """How a worker with this token makes its assignments."""

    def make(job: JobView, stage: Stage, number: int, state: TaskState) -> Piece:
        attempt = attempt_of(state.epoch, token)
        prefix = names.attempt_prefix(job.storage_prefix, stage.step, stage.name, number, attempt)
        return Piece(stage.name, number, attempt, prefix)

    return make


def worker_of(
    bench: Bench, job: JobView, index: int = 0, *, entropy: int = 0, takes_lease: bool = True
) -> tuple[Worker[Piece], PlannedExecutor]:
    """A worker of the job that holds its Lease, and its executor."""
    token = make_token(index, entropy)
    identity = Identity(job.namespace, job.name, job.uid, job.run, token, LEASE_SECONDS)
    executor = PlannedExecutor(bench)
    if takes_lease:
        bench.hold_lease(job, index, token)
    return Worker(identity, executor, bench.dependencies, assign(token)), executor
