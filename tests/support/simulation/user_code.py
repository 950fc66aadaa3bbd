"""The user's job in the simulation, and the executor that runs it in virtual time.

A map task of input *i* gives each partition one output that names the input, the partition and *the very
execution* that made it: outputs of different executions of one task differ, as those of real code may.  So
if two reduce tasks ever read two different attempts at the same map task, the result shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Literal

from attr import define, field, frozen

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView, Stage
from kubemr.coordination.outputs import OUTPUTS, Index, decode_outputs, encode_outputs
from kubemr.tasks.state import TaskState, attempt_of
from support.simulation.faults import Faults
from support.simulation.store import MemoryStore, StoreFailed


@frozen
class Work:
    """One attempt at one task."""

    job: JobView
    stage: Stage
    number: int
    prefix: str

    @property
    def task(self) -> str:
        """The task's name, as `status.error` has it."""
        return f"{self.stage.key}/{self.number}"


@frozen
class Ended:
    """How it ended."""

    assignment: Work
    kind: Literal["done", "empty", "failed"]
    message: str = ""
    log: bytes = b""
    start: str = ""
    end: str = ""


class OutOfMemory(Exception):
    """The worker's process is no more."""


@define
class UserCode:
    """The mistakes in the user's code, and an account of what it did: by the job's uid, its run, and the task."""

    deadly: frozenset[str] = frozenset()
    """Tasks that end their worker's process, in the first run of a job."""
    frail: Mapping[str, float] = field(factory=dict)
    """How often these tasks raise before they work, in the first run of a job."""
    mended: bool = False
    """From the second run on nothing raises any more."""
    seconds: float = 0.3
    """The longest that a task takes which is not slow."""
    begun: set[tuple[str, int, str]] = field(factory=set)
    raised: dict[tuple[str, int, str], list[str]] = field(factory=dict)
    """What each attempt that failed had to say."""

    def fails(self, work: Work, *, by_chance: bool) -> bool:
        """Whether this attempt raises.  Raises `OutOfMemory` where that is the end of the process."""
        key = (work.job.uid, work.job.run, work.task)
        self.begun.add(key)
        if work.job.run > 1:
            return by_chance and not self.mended
        if work.task in self.deadly:
            raise OutOfMemory(work.task)
        return by_chance or len(self.raised.get(key, ())) < self.frail.get(work.task, 0)

    def failed(self, work: Work, why: str) -> str:
        """An attempt fails; gives its message, which no other has."""
        message = f"{why} in {work.prefix}"
        self.raised.setdefault((work.job.uid, work.job.run, work.task), []).append(message)
        return message


@define
class SimulatedExecutor:
    """Runs attempts one after another; each takes some virtual time."""

    store: MemoryStore
    random: Random
    faults: Callable[[], Faults]
    clock: Callable[[], float]
    token: str
    code: UserCode
    queue: list[Work] = field(factory=list)
    current: tuple[Work, float] | None = None
    executions: int = 0

    def submit(self, assignments: Sequence[Work]) -> None:
        """Queue them."""
        self.queue += assignments
        self._next()

    def wait(self, timeout: float) -> Sequence[Ended]:
        """The one that is due, if it is."""
        del timeout  # The world moves its clock at every effect; a wait that finds nothing is simply asked again.
        if self.current is None or self.clock() < self.current[1]:
            return []
        work, _ = self.current
        self.current = None
        ended = self._run(work)
        self._next()
        return [ended]

    def withdraw(self) -> Sequence[Work]:
        """Those that have not begun."""
        queue, self.queue = self.queue, []
        return queue

    def current_log(self) -> tuple[Work, bytes] | None:
        """Every second task prints."""
        if self.current is None or self.current[0].number % 2:
            return None
        return self.current[0], b"so far"

    def cancel(self, assignment: Work) -> None:
        """Forget it."""
        if self.current is not None and self.current[0] == assignment:
            self.current = None
            self._next()
        elif assignment in self.queue:
            self.queue.remove(assignment)

    def _next(self) -> None:
        if self.current is None and self.queue:
            slow = self.random.random() < self.faults().slow_task
            seconds = self.random.uniform(3.0, 90.0) if slow else self.random.uniform(0.0, self.code.seconds)
            self.current = (self.queue.pop(0), self.clock() + seconds)

    def _run(self, work: Work) -> Ended:
        log = b"all" if work.number % 2 == 0 else b""
        if self.code.fails(work, by_chance=self.random.random() < self.faults().task_failure):
            return Ended(work, "failed", self.code.failed(work, "ValueError"), log)
        self.executions += 1
        try:
            outputs = self._map(work) if work.stage.name == "map" else self._reduce(work)
            if outputs:
                self.store.put(work.prefix + OUTPUTS, encode_outputs(outputs))
        except StoreFailed as problem:
            return Ended(work, "failed", self.code.failed(work, str(problem)))
        return Ended(work, "done" if outputs else "empty", log=log)

    def _map(self, work: Work) -> dict[int, str]:
        text: str = work.job.document["spec"]["inputs"][work.number]
        if text == "nothing":
            return {}
        execution = f"{self.token}#{self.executions}"
        return {partition: f"{text}/{partition}@{execution}" for partition in range(work.job.partitions)}

    def _get(self, key: str) -> bytes:
        """As real stores do, try again: a reduce task reads too many objects to hope that none of them fails."""
        for _ in range(3):
            with suppress(StoreFailed):
                return self.store.get(key)
        return self.store.get(key)

    def _reduce(self, work: Work) -> dict[int, str]:
        job = work.job
        source = job.stages[job.position(work.stage) - 1]
        index = Index.decode(self.store.get(names.index_key(job.storage_prefix, job.run, source.step, source.name)))
        collected = []
        for number, attempt in enumerate(index.attempts):
            if attempt:
                prefix = names.attempt_prefix(job.storage_prefix, source.step, source.name, number, attempt)
                outputs = decode_outputs(self._get(prefix + OUTPUTS))
                collected.append(outputs[work.number])
        return {work.number: " ".join(collected)} if collected else {}


def assign(token: str) -> Callable[[JobView, Stage, int, TaskState], Work]:
    """How a worker with this token makes its assignments."""

    def make(job: JobView, stage: Stage, number: int, state: TaskState) -> Work:
        attempt = attempt_of(state.epoch, state.holders[state.holders.index(token)])
        prefix = names.attempt_prefix(job.storage_prefix, stage.step, stage.name, number, attempt)
        return Work(job, stage, number, prefix)

    return make


def check_results(inputs: Sequence[str], partitions: int, results: Sequence[str]) -> None:
    """The exact result: every input once in every partition, all partitions from one execution of it."""
    texts = [text for text in inputs if text != "nothing"]
    expected = partitions if texts else 0
    if len(results) != expected:
        raise AssertionError(f"{len(results)} results instead of {expected}: {results}")
    executions: dict[int, set[str]] = {}
    for partition, result in enumerate(results):
        parts = result.split(" ")
        if [part.partition("@")[0] for part in parts] != [f"{text}/{partition}" for text in texts]:
            raise AssertionError(f"partition {partition} is {result!r}, expected one of each of {texts}")
        for position, part in enumerate(parts):
            executions.setdefault(position, set()).add(part.partition("@")[2])
    mixed = {texts[position]: sorted(found) for position, found in executions.items() if len(found) > 1}
    if mixed:
        raise AssertionError(f"partitions come from different executions of one map task: {mixed}")
