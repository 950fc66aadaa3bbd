"""Run the tasks a worker holds, and tell what is to become of each.

The user's code runs elsewhere (an executor); this is the part that waits for it.  One rule matters to
the others: **no hoarding**.  When a task has been running for over two seconds, or the whole batch for over
four, what is finished is committed and what has not begun is given back, so that idle workers can take it.

While a task lasts its shard is looked at now and then: an attempt that cannot count any more, because another
holder has committed or the task was taken away, is stopped.
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
"""A task that runs longer holds up the rest of its batch."""
LONGEST_BATCH_SECONDS = 4.0
"""A batch was to take a second, by how long the tasks before it took; these take longer."""
WAIT_SECONDS = 1.0
"""The longest wait for the executor before looking around."""
FIRST_LOOK_SECONDS = 1.0
"""Between the last outcome and the first look at the shard; doubled from each look to the next."""
LONGEST_LOOK_SECONDS = 8.0
LOG_SECONDS = 15.0
"""After this time, and then after twice as long each time, the log of a task that still runs is kept as it is then:
what its worker prints last before it dies with its pod cannot be kept afterwards."""


class AssignmentLike(Protocol):
    """One attempt at one task, as handed to the executor."""

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
        """Which attempt."""
        ...

    @property
    def kind(self) -> Literal["done", "empty", "failed"]:
        """`done`: its outputs are in storage; `empty`: it has none; `failed`: `message` says why."""
        ...

    @property
    def message(self) -> str:
        """Why it failed."""
        ...

    @property
    def log(self) -> bytes:
        """What is to be kept of what it printed, in the form of `log.txt`; empty for nothing."""
        ...

    @property
    def start(self) -> str:
        """When a failed one began, as people read it."""
        ...

    @property
    def end(self) -> str:
        """When it ended."""
        ...


class Executor(Protocol[A]):
    """Runs attempts one after another, apart from this process's own loop."""

    def submit(self, assignments: Sequence[A]) -> None:
        """Queue attempts; returns at once."""
        ...

    def wait(self, timeout: float) -> Sequence[OutcomeLike[A]]:
        """The attempts that ended since; waits `timeout` seconds for the first."""
        ...

    def withdraw(self) -> Sequence[A]:
        """Those that have not begun; they will not."""
        ...

    def current_log(self) -> tuple[A, bytes] | None:
        """The latest that was begun, and its log until now; None when it has printed nothing."""
        ...

    def cancel(self, assignment: A) -> object:
        """Stop it if it is running, and forget it: there will be no outcome."""
        ...


@define
class Batch(Generic[A]):
    """The tasks of one shard that this worker holds now.

    `shard` is the shard as last seen; `left` the attempts without an outcome; `changes` what is to become of
    the others, not yet sent.  After `run`, `left` is empty and `changes` is for the caller to send along
    with its next claim.
    """

    token: Token
    shard: Shard
    executor: Executor[A]
    store: Store
    max_attempts: int
    check: Callable[[], Op[None]]
    """Is the job still there?  Asked at every second look, as a job is larger than a shard.  It may raise."""
    longest_look: float = LONGEST_LOOK_SECONDS
    """The longest pause between two looks, in seconds: of a thousand busy workers each costs one request per pause."""
    warn: Callable[..., object] = silent
    """Takes an event name and fields, for the log."""
    run_number: int = 1
    """Of the job: what an attempt leaves says in which run it was made."""
    left: dict[int, A] = field(factory=dict)
    changes: dict[int, Change] = field(factory=dict)
    failures: int = 0
    ended: int = 0
    """How many attempts of the latest run came to an end."""
    durations: list[float] = field(factory=list)
    """How long those that did not fail took, in seconds."""
    failed: Callable[[int, int], object] = lambda number, epoch: None
    """Told of each attempt that failed: its task's number and its epoch."""

    def run(self, assignments: Sequence[A]) -> Op[None]:
        """Run `assignments` to their ends.  Raises `ShardNotFoundError`, and what `check` raises."""
        self.left = {each.number: each for each in assignments}
        self.ended, self.durations = 0, []
        self.executor.submit(assignments)
        quiet_since: float = yield Now()
        settled = quiet_since
        looks, next_look = 0, quiet_since + FIRST_LOOK_SECONDS
        log_after = LOG_SECONDS
        while self.left:
            outcomes: Sequence[OutcomeLike[A]] = yield Do(lambda: self.executor.wait(WAIT_SECONDS), "wait for tasks")
            now: float = yield Now()
            for outcome in outcomes:
                yield from self._note(outcome, (now - quiet_since) / len(outcomes))
            if outcomes:
                quiet_since, log_after = now, LOG_SECONDS
            if not self.left:
                return
            hoarding = now - quiet_since > HOARDING_SECONDS or now - settled > LONGEST_BATCH_SECONDS
            if hoarding and (self.changes or len(self.left) > 1):
                yield from self.commit_early()
                settled = now
            if now - quiet_since >= log_after:
                log_after *= 2
                yield from self._write_current_log()
            if not outcomes and now >= next_look:
                yield from self.look()
                looks += 1
                if looks % 2 == 0:
                    yield from self.check()
                pause = min(self.longest_look, FIRST_LOOK_SECONDS * 2.0 ** min(looks, 32))
                next_look = now + pause * (0.5 + 0.5 * (yield Random()))

    def look(self) -> Op[None]:
        """Read the shard, and stop what cannot count any more."""
        document = yield from read(self.shard.target)
        if document is None:
            raise ShardNotFoundError(f"{self.shard.target} is gone")
        self._see(Shard.parse(document))

    def _see(self, shard: Shard) -> None:
        """`shard` is how it is now: what is no longer one's own is neither run any further nor committed."""
        before, self.shard = self.shard, shard
        for number in [*self.left, *self.changes]:
            state = shard.tasks[number]
            if state.held_by(self.token) and state.epoch == before.tasks[number].epoch:
                continue
            self.changes.pop(number, None)
            if number in self.left:
                self.executor.cancel(self.left.pop(number))

    def give_up(self) -> None:
        """The shard is gone: nothing of it counts any more."""
        for assignment in self.left.values():
            self.executor.cancel(assignment)
        self.left, self.changes = {}, {}

    def commit_early(self) -> Op[None]:
        """Send what is finished, and give back what has not begun."""
        for assignment in self.executor.withdraw():
            del self.left[assignment.number]
            self.changes[assignment.number] = self._release
        if not self.changes:
            return
        # Kept until they are settled: `release_all` sends them should the worker be told to go in the middle of it.
        settled = yield from commit_and_claim(self.shard, self.token, self.changes)
        self.changes = {}
        self._see(settled.shard)

    def release_all(self) -> Op[None]:
        """Stop everything, commit what is finished and give back the rest: the worker was told to go.

        It begins with a fresh look, because it may be called in the middle of a change whose fate is unknown.
        """
        self.executor.withdraw()
        for assignment in self.left.values():
            self.executor.cancel(assignment)
        document = yield from read(self.shard.target)
        if document is None:
            return
        before, self.shard = self.shard, Shard.parse(document)
        changes: dict[int, Change] = {}
        for number, state in self.shard.held_by(self.token).items():
            finished = number in self.changes and before.tasks[number].epoch == state.epoch
            changes[number] = self.changes[number] if finished else self._release
        self.left, self.changes = {}, {}
        yield from commit_and_claim(self.shard, self.token, changes)

    def _note(self, outcome: OutcomeLike[A], seconds: float) -> Op[None]:
        number, prefix = outcome.assignment.number, outcome.assignment.prefix
        if self.left.get(number) is not outcome.assignment:
            return  # Of a batch that was given up, because its shard was gone.
        self.ended += 1
        del self.left[number]
        if outcome.log:
            yield from write_best_effort(self.store, prefix + LOG, outcome.log, self.warn)
        if outcome.kind == "failed":
            self.failures += 1
            self.failed(number, self.shard.tasks[number].epoch)
            error = AttemptError(outcome.message, self.token, outcome.start, outcome.end, self.run_number).encode()
            yield Do(lambda: self.store.put(prefix + ERROR, error), "write error")
            self.changes[number] = self._fail
        else:
            self.durations.append(seconds)
            self.changes[number] = self._commit_empty if outcome.kind == "empty" else self._commit_done

    def running_log(self) -> tuple[str, bytes] | None:
        """Key and content of the log, until now, of the attempt that runs; None when it has printed nothing."""
        running = self.executor.current_log()
        if running is None or self.left.get(running[0].number) != running[0]:
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


def assignments(held: Mapping[int, TaskState], assign: Callable[[int, TaskState], A]) -> list[A]:
    """The attempts at what is held, in order of task number; `assign` makes one from a number and its state."""
    return [assign(number, state) for number, state in sorted(held.items())]
