"""A MapReduceJob as workers and operator see it while it runs: who it is and how far it has come.

The document stays as the server gave it.  This view only names what coordination needs, so that a worker
need not import the resource types.
"""

from __future__ import annotations

from typing import Final, Literal

from attr import frozen

from kubemr.coordination import names
from kubemr.coordination.pagination import PAGE
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json
from kubemr.locks.lease import LEASES
from kubemr.locks.patch import Patch
from kubemr.tasks.shard import LARGEST_SHARD, SHARD_SIZES

Phase = Literal["", "PENDING", "DEPLOYING", "DEPLOYED", "COMPLETE", "FAIL"]
FINAL_PHASES: Final = ("COMPLETE", "FAIL")

DEFAULT_MAX_ATTEMPTS: Final = 4
DEFAULT_PARTITIONS: Final = 32
DEFAULT_TASK_TIMEOUT: Final = 600.0


@frozen
class Stage:
    """One stage as `status.stages` records it: how many shards and tasks it has."""

    step: int
    name: str
    shards: int
    total: int

    key: str
    """How it is called, also in `status.stage`: `map`, or `1/map` in a job of several steps."""

    @property
    def label(self) -> str:
        """The value of the shards' stage label."""
        return names.stage_label(self.step, self.name)


@frozen
class Inputs:
    """Where the inputs of the map tasks are that `spec.inputsFrom` led to (`status.inputs`)."""

    plan: str
    tasks: int
    tasks_per_chunk: int


def stage_key(step: int, name: str, steps: int) -> str:
    """The step is named only where there is more than one."""
    return name if steps == 1 else f"{step}/{name}"


SHARDS_PER_WORKER: Final = 4
"""Shards are only as large as leaves each worker this many: then few workers have to share one."""
WRITTEN_AT_ONCE: Final = 50_000
"""And only so large that this many tasks are written when each worker changes one: with it, its whole shard."""


def shards_for(total: int, replicas: int) -> int:
    """How many shards hold `total` tasks of a job with so many workers: the fewer, the cheaper is a task."""
    fitting = [
        size
        for size in SHARD_SIZES
        if total >= size * SHARDS_PER_WORKER * replicas and size * replicas <= WRITTEN_AT_ONCE
    ]
    return -(-total // max(fitting, default=SHARD_SIZES[0]))


def shard_size(total: int, shards: int) -> int:
    """How many tasks each but the last of so many shards holds: what `shards_for` has chosen.

    The size is not recorded.  It need not be: two sizes give one number of shards only where one shard holds all tasks.
    """
    return next(size for size in SHARD_SIZES if -(-total // size) <= shards)


def shard_tasks(stage: Stage, number: int) -> range:
    """The tasks that one of the stage's shards holds."""
    size = shard_size(stage.total, stage.shards)
    return range(number * size, min((number + 1) * size, stage.total))


TASKS_A_PAGE: Final = 16_384
"""Tasks in one page of a list of shards: some 5 MiB of memory, the answer's text included."""
LARGE_SHARDS_A_PAGE: Final = TASKS_A_PAGE // LARGEST_SHARD
"""Shards a page where they may be of any size."""


def shards_a_page(stage: Stage) -> int:
    """How many of the stage's shards are one page of their list."""
    return min(PAGE, max(LARGE_SHARDS_A_PAGE, TASKS_A_PAGE * stage.shards // max(stage.total, 1)))


@frozen
class JobView:
    """What coordination reads from a job's document."""

    namespace: str
    name: str
    uid: str
    run: int
    phase: str
    stage: str
    stages: tuple[Stage, ...]
    max_attempts: int
    partitions: int
    replicas: int
    inputs: Inputs | None
    document: Json

    @classmethod
    def of(cls, document: Json) -> JobView:
        """Read a document that the apiserver served."""
        metadata, spec, status = document["metadata"], document.get("spec") or {}, document.get("status") or {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            run=int(status.get("run") or 1),
            phase=status.get("phase") or "",
            stage=status.get("stage") or "",
            stages=_stages(status.get("stages") or []),
            max_attempts=int(spec.get("maxAttempts", DEFAULT_MAX_ATTEMPTS)),
            partitions=int(spec.get("partitions", DEFAULT_PARTITIONS)),
            replicas=int(spec.get("replicas", 1)),
            inputs=_inputs(status.get("inputs")),
            document=document,
        )

    @property
    def final(self) -> bool:
        """The job is over, unless it is retried as another run."""
        return self.phase in FINAL_PHASES

    @property
    def target(self) -> Target:
        """The job object."""
        return Target(names.JOBS, self.namespace, self.name)

    @property
    def status(self) -> Target:
        """The job's status subresource: where all patches of it go."""
        return Target(names.JOBS, self.namespace, self.name, "status")

    @property
    def unplanned(self) -> bool:
        """Nobody has looked yet what `spec.inputsFrom` leads to."""
        return self.inputs is None and bool((self.document.get("spec") or {}).get("inputsFrom"))

    @property
    def base(self) -> str:
        """What the names of this run's children begin with."""
        return names.base(self.name, self.uid, self.run)

    @property
    def storage_prefix(self) -> str:
        """The prefix of the job's keys, ending in a slash."""
        return names.storage_prefix(self.name, self.uid)

    @property
    def current(self) -> Stage | None:
        """The stage that is on."""
        return next((stage for stage in self.stages if stage.key == self.stage), None)

    def after(self, stage: Stage) -> Stage | None:
        """The stage that follows `stage`, or None after the last."""
        position = self.stages.index(stage)
        return self.stages[position + 1] if position + 1 < len(self.stages) else None

    def shares(self, stage: Stage) -> bool:
        """There are more workers than the stage has shards: nobody takes all of one."""
        return self.replicas > stage.shards

    def position(self, stage: Stage) -> int:
        """Where in `status.stages` it stands."""
        return self.stages.index(stage)

    def shard_name(self, stage: Stage, number: int) -> str:
        """The name of one of the stage's shards."""
        return names.shard(self.base, stage.step, stage.name, number)

    def lease_of(self, index: int) -> Target:
        """The Lease of one of the run's workers."""
        return Target(LEASES, self.namespace, names.lease(self.base, index))

    def selector(self, stage: Stage, *, tasks: str = "") -> str:
        """A label selector for the stage's shards; `tasks` is a further requirement, e.g. `tasks in (open)`."""
        more = [f"{names.LABEL_STAGE}={stage.label}", *([tasks] if tasks else [])]
        return names.selector(self.uid, self.run, *more)

    def guard(self) -> Patch:
        """The tests that every patch of a running job's status begins with: this job, this run, still running."""
        return (
            Patch()
            .test("/metadata/uid", self.uid)
            .test("/status/run", self.run)
            .test("/status/phase", self.phase)
            .test("/status/stage", self.stage)
        )


def _stages(recorded: list[Json]) -> tuple[Stage, ...]:
    steps = 1 + max((int(stage.get("step") or 0) for stage in recorded), default=0)
    return tuple(
        Stage(
            step=int(stage.get("step") or 0),
            name=stage["name"],
            shards=int(stage.get("shards") or 0),
            total=int(stage.get("total") or 0),
            key=stage_key(int(stage.get("step") or 0), stage["name"], steps),
        )
        for stage in recorded
    )


def _inputs(recorded: Json) -> Inputs | None:
    if not recorded:
        return None
    return Inputs(recorded["plan"], int(recorded["tasks"]), int(recorded["tasksPerChunk"]))
