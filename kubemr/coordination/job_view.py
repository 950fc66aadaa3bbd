"""A view of a MapReduceJob for workers and the operator: its identity and its progress.

The document stays as the apiserver returned it.
The view names what coordination needs, so that a worker need not import the resource types.
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
    """One stage, with its numbers of shards and tasks, as `status.stages` records it."""

    step: int
    name: str
    shards: int
    total: int

    key: str
    """The stage's name in `status.stage`: `map`, or `1/map` in a job of several steps."""

    @property
    def label(self) -> str:
        """The value of the shards' stage label."""
        return names.stage_label(self.step, self.name)


@frozen
class Inputs:
    """Where the split plan is that the operator made from `spec.inputsFrom` (`status.inputs`)."""

    plan: str
    tasks: int
    tasks_per_chunk: int


def stage_key(step: int, name: str, steps: int) -> str:
    """Return the stage's name in `status.stage`; it contains the step only if the job has several."""
    return name if steps == 1 else f"{step}/{name}"


SHARDS_PER_WORKER: Final = 4
"""Each worker has at least this many shards, unless they are of the smallest size: then few workers share a shard."""
WRITTEN_AT_ONCE: Final = 50_000
"""The largest number of tasks that are written when every worker changes one task, and with it its whole shard."""


def shards_for(total: int, replicas: int) -> int:
    """Return the number of shards for `total` tasks of a job with `replicas` workers.

    With fewer shards, a task is cheaper.
    """
    fitting = [
        size
        for size in SHARD_SIZES
        if total >= size * SHARDS_PER_WORKER * replicas and size * replicas <= WRITTEN_AT_ONCE
    ]
    return -(-total // max(fitting, default=SHARD_SIZES[0]))


def shard_size(total: int, shards: int) -> int:
    """Return the number of tasks in each shard except the last, as `shards_for` has chosen it.

    The size need not be recorded: two sizes lead to the same number of shards only if one shard holds all tasks.
    """
    return next(size for size in SHARD_SIZES if -(-total // size) <= shards)


def shard_tasks(stage: Stage, number: int) -> range:
    """Return the tasks in shard `number` of the stage."""
    size = shard_size(stage.total, stage.shards)
    return range(number * size, min((number + 1) * size, stage.total))


TASKS_A_PAGE: Final = 16_384
"""The number of tasks in one page of a list of shards: about 5 MiB of memory, including the text of the response."""
LARGE_SHARDS_A_PAGE: Final = TASKS_A_PAGE // LARGEST_SHARD
"""The number of shards per page if they may be of any size."""


def shards_a_page(stage: Stage) -> int:
    """Return the number of the stage's shards per page of a list."""
    return min(PAGE, max(LARGE_SHARDS_A_PAGE, TASKS_A_PAGE * stage.shards // max(stage.total, 1)))


@frozen
class JobView:
    """The fields of a job's document that coordination reads."""

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
        """Read the document of a job, as the apiserver returned it."""
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
        """True if the job has ended, unless it is retried as another run."""
        return self.phase in FINAL_PHASES

    @property
    def target(self) -> Target:
        """The job object."""
        return Target(names.JOBS, self.namespace, self.name)

    @property
    def status(self) -> Target:
        """The job's status subresource, which all patches of the job change."""
        return Target(names.JOBS, self.namespace, self.name, "status")

    @property
    def unplanned(self) -> bool:
        """True if the job has `spec.inputsFrom`, and the operator has not made its split plan yet."""
        return self.inputs is None and bool((self.document.get("spec") or {}).get("inputsFrom"))

    @property
    def base(self) -> str:
        """The beginning of the names of this run's children."""
        return names.base(self.name, self.uid, self.run)

    @property
    def storage_prefix(self) -> str:
        """The prefix of the job's keys, ending in a slash."""
        return names.storage_prefix(self.name, self.uid)

    @property
    def current(self) -> Stage | None:
        """The current stage, or None."""
        return next((stage for stage in self.stages if stage.key == self.stage), None)

    def after(self, stage: Stage) -> Stage | None:
        """Return the stage that follows `stage`, or None after the last."""
        position = self.stages.index(stage)
        return self.stages[position + 1] if position + 1 < len(self.stages) else None

    def shares(self, stage: Stage) -> bool:
        """Decide whether workers share the stage's shards, because there are more workers than shards."""
        return self.replicas > stage.shards

    def position(self, stage: Stage) -> int:
        """Return the stage's position in `status.stages`."""
        return self.stages.index(stage)

    def shard_name(self, stage: Stage, number: int) -> str:
        """Return the name of shard `number` of the stage."""
        return names.shard(self.base, stage.step, stage.name, number)

    def lease_of(self, index: int) -> Target:
        """Return the Lease of worker `index` of this run."""
        return Target(LEASES, self.namespace, names.lease(self.base, index))

    def selector(self, stage: Stage, *, tasks: str = "") -> str:
        """Return a label selector for the stage's shards; `tasks` is another requirement, e.g. `tasks in (open)`."""
        more = [f"{names.LABEL_STAGE}={stage.label}", *([tasks] if tasks else [])]
        return names.selector(self.uid, self.run, *more)

    def guard(self) -> Patch:
        """Return the tests that begin every patch of a running job's status: same job, run, phase and stage."""
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
