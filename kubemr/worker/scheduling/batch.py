"""Run the tasks that a worker has claimed in one shard, and decide how the state of each changes.

An executor runs the user's code elsewhere; a `Batch` waits for it.
One rule protects other workers: **no hoarding**.
If a task runs for more than two seconds, or the whole batch for more than four, the batch does not wait for its end.
It commits the finished tasks and releases those that have not begun, so that idle workers can claim them.

While a task runs, the batch refreshes the shard at growing intervals.
It stops an attempt that cannot count any more, because another holder has committed the task or it was reclaimed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Literal, Protocol, TypeVar

from attr import define, field

from kubemr.coordination.attempt_records import ERROR, LOG, AttemptError, write_best_effort
from kubemr.coordination.object_store import Store
from kubemr.locks.conditional import read
from kubemr.locks.effects import Do, Now, Op, Random
from kubemr.logs import silent
from kubemr.tasks.claims import Change, ShardNotFoundError, commit_and_claim
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import TaskState, Token

HOARDING_SECONDS = 2.0
"""A task that runs longer than this delays the rest of its batch."""
MAX_BATCH_SECONDS = 4.0
"""The size of a batch is chosen so that it takes a second; the tasks of a batch that takes this long are slower."""
EXECUTOR_WAIT_SECONDS = 1.0
"""The longest wait for the executor before the batch checks the time."""
FIRST_REFRESH_SECONDS = 1.0
"""The time from the last outcome to the first refresh of the shard; it doubles from each refresh to the next."""
MAX_REFRESH_SECONDS = 8.0
FIRST_LOG_SECONDS = 15.0
"""After this time, and then each time after twice as long, the log so far of a running task is written to storage.
If the worker dies with its pod, its last output cannot be written any more."""


class AssignmentLike(Protocol):
    """One attempt at one task, as it is submitted to the executor."""

    @property
    def number(self) -> int:
        """The task's number in its stage."""
        ...

    @property
    def prefix(self) -> str:
        """The prefix of the attempt's keys in storage, ending in a slash."""
        ...


A = TypeVar("A", bound=AssignmentLike)
A_co = TypeVar("A_co", bound=AssignmentLike, covariant=True)


class OutcomeLike(Protocol[A_co]):
    """How an attempt ended."""

    @property
    def assignment(self) -> A_co:
        """The attempt."""
        ...

    @property
    def kind(self) -> Literal["done", "empty", "failed"]:
        """`done`: its outputs are in storage; `empty`: it has none; `failed`: for the reason in `message`."""
        ...

    @property
    def message(self) -> str:
        """Why the attempt failed."""
        ...

    @property
    def log(self) -> bytes:
        """What the attempt printed, in the form of `log.txt`; empty if there is nothing to write."""
        ...

    @property
    def start(self) -> str:
        """When a failed attempt began (RFC 3339)."""
        ...

    @property
    def end(self) -> str:
        """When a failed attempt ended (RFC 3339)."""
        ...


class Executor(Protocol[A]):
    """Runs attempts one after another, without blocking the loop."""

    def submit(self, assignments: Sequence[A]) -> None:
        """Queue attempts, and return immediately."""
        ...

    def wait(self, timeout: float) -> Sequence[OutcomeLike[A]]:
        """Return the outcomes since the last call; wait up to `timeout` seconds for the first."""
        ...

    def withdraw(self) -> Sequence[A]:
        """Remove and return the attempts that have not begun; they never run."""
        ...

    def current_log(self) -> tuple[A, bytes] | None:
        """Return the latest attempt that has begun, and its log so far; None if it has printed nothing."""
        ...

    def cancel(self, assignment: A) -> object:
        """Stop the attempt if it runs, and remove it: it has no outcome."""
        ...


@define
class Batch(Generic[A]):
    """The tasks of one shard that this worker holds now.

    `shard` is the shard as it was last read.
    `unfinished` has the attempts without an outcome, and `changes` the changes of the other tasks, not yet sent.
    After `run`, `unfinished` is empty, and the caller sends `changes` together with its next claim.
    """

    token: Token
    shard: Shard
    executor: Executor[A]
    store: Store
    max_attempts: int
    check_job: Callable[[], Op[None]]
    """Reads the job, at every second refresh, because a job is larger than a shard; raises if the worker must exit."""
    max_refresh_seconds: float = MAX_REFRESH_SECONDS
    """The longest seconds between two refreshes: each of a thousand busy workers sends one request in that time."""
    warn: Callable[..., object] = silent
    """Called with an event name and fields, for the log."""
    run_number: int = 1
    """The number of the job's run, which the records of an attempt contain."""
    unfinished: dict[int, A] = field(factory=dict)
    changes: dict[int, Change] = field(factory=dict)
    failures: int = 0
    ended_count: int = 0
    """The number of attempts that ended in the latest call of `run`."""
    durations: list[float] = field(factory=list)
    """The seconds of each attempt of the latest call of `run` that did not fail."""
    on_failure: Callable[[int, int], object] = lambda number, epoch: None
    """Called with task number and epoch of each attempt that failed."""

    def run(self, assignments: Sequence[A]) -> Op[None]:
        """Run `assignments` until all have ended.  Raise `ShardNotFoundError`, and what `check_job` raises."""
        self.unfinished = {each.number: each for each in assignments}
        self.ended_count, self.durations = 0, []
        self.executor.submit(assignments)
        last_outcome_at: float = yield Now()
        last_commit_at = last_outcome_at
        refreshes, next_refresh_at = 0, last_outcome_at + FIRST_REFRESH_SECONDS
        log_after = FIRST_LOG_SECONDS
        while self.unfinished:
            outcomes: Sequence[OutcomeLike[A]] = yield Do(
                lambda: self.executor.wait(EXECUTOR_WAIT_SECONDS), "wait for tasks"
            )
            now: float = yield Now()
            for outcome in outcomes:
                yield from self._record_outcome(outcome, (now - last_outcome_at) / len(outcomes))
            if outcomes:
                last_outcome_at, log_after = now, FIRST_LOG_SECONDS
            if not self.unfinished:
                return
            hoarding = now - last_outcome_at > HOARDING_SECONDS or now - last_commit_at > MAX_BATCH_SECONDS
            if hoarding and (self.changes or len(self.unfinished) > 1):
                yield from self.commit_early()
                last_commit_at = now
            if now - last_outcome_at >= log_after:
                log_after *= 2
                yield from self._write_current_log()
            if not outcomes and now >= next_refresh_at:
                yield from self.refresh()
                refreshes += 1
                if refreshes % 2 == 0:
                    yield from self.check_job()
                pause = min(self.max_refresh_seconds, FIRST_REFRESH_SECONDS * 2.0 ** min(refreshes, 32))
                next_refresh_at = now + pause * (0.5 + 0.5 * (yield Random()))

    def refresh(self) -> Op[None]:
        """Read the shard, and stop attempts that cannot count any more."""
        document = yield from read(self.shard.target)
        if document is None:
            raise ShardNotFoundError(f"{self.shard.target} was deleted")
        self._update_shard(Shard.parse(document))

    def _update_shard(self, shard: Shard) -> None:
        """Replace the shard by a newer version; stop, and do not commit, attempts at tasks that the worker lost."""
        before, self.shard = self.shard, shard
        for number in [*self.unfinished, *self.changes]:
            state = shard.tasks[number]
            if state.held_by(self.token) and state.epoch == before.tasks[number].epoch:
                continue
            self.changes.pop(number, None)
            if number in self.unfinished:
                self.executor.cancel(self.unfinished.pop(number))

    def abandon(self) -> None:
        """Stop all attempts without a commit, because the shard was deleted."""
        for assignment in self.unfinished.values():
            self.executor.cancel(assignment)
        self.unfinished, self.changes = {}, {}

    def commit_early(self) -> Op[None]:
        """Commit the finished tasks, and release those that have not begun."""
        for assignment in self.executor.withdraw():
            del self.unfinished[assignment.number]
            self.changes[assignment.number] = self._release
        if not self.changes:
            return
        # Keep the changes until the patch has been applied: if the worker is stopped before, `release_all` sends them.
        result = yield from commit_and_claim(self.shard, self.token, self.changes)
        self.changes = {}
        self._update_shard(result.shard)

    def release_all(self) -> Op[None]:
        """Stop all attempts, commit the finished tasks and release the others, because the worker shuts down.

        First read the shard: the worker may have been stopped after a patch was sent and before its result was known.
        """
        self.executor.withdraw()
        for assignment in self.unfinished.values():
            self.executor.cancel(assignment)
        document = yield from read(self.shard.target)
        if document is None:
            return
        before, self.shard = self.shard, Shard.parse(document)
        changes: dict[int, Change] = {}
        for number, state in self.shard.held_by(self.token).items():
            finished = number in self.changes and before.tasks[number].epoch == state.epoch
            changes[number] = self.changes[number] if finished else self._release
        self.unfinished, self.changes = {}, {}
        yield from commit_and_claim(self.shard, self.token, changes)

    def _record_outcome(self, outcome: OutcomeLike[A], seconds: float) -> Op[None]:
        number, prefix = outcome.assignment.number, outcome.assignment.prefix
        if self.unfinished.get(number) is not outcome.assignment:
            return  # The attempt belongs to a batch that was abandoned, because its shard was deleted.
        self.ended_count += 1
        del self.unfinished[number]
        if outcome.log:
            yield from write_best_effort(self.store, prefix + LOG, outcome.log, self.warn)
        if outcome.kind == "failed":
            self.failures += 1
            self.on_failure(number, self.shard.tasks[number].epoch)
            error = AttemptError(outcome.message, self.token, outcome.start, outcome.end, self.run_number).encode()
            yield Do(lambda: self.store.put(prefix + ERROR, error), "write error")
            self.changes[number] = self._fail
        else:
            self.durations.append(seconds)
            self.changes[number] = self._commit_empty if outcome.kind == "empty" else self._commit_done

    def running_log(self) -> tuple[str, bytes] | None:
        """Return key and content of the running attempt's log so far; None if it has printed nothing."""
        running = self.executor.current_log()
        if running is None or self.unfinished.get(running[0].number) != running[0]:
            return None
        return running[0].prefix + LOG, running[1]

    def _write_current_log(self) -> Op[None]:
        log = self.running_log()
        if log is not None:
            yield from write_best_effort(self.store, *log, self.warn)

    def _release(self, state: TaskState) -> TaskState:
        return state.release(self.token)

    def _fail(self, state: TaskState) -> TaskState:
        return state.fail(self.token, self.max_attempts)

    def _commit_done(self, state: TaskState) -> TaskState:
        return state.commit(self.token, empty=False)

    def _commit_empty(self, state: TaskState) -> TaskState:
        return state.commit(self.token, empty=True)


def make_assignments(held: Mapping[int, TaskState], assign: Callable[[int, TaskState], A]) -> list[A]:
    """Return attempts at the held tasks, in order of task number; `assign` makes one from a number and a state."""
    return [assign(number, state) for number, state in sorted(held.items())]
