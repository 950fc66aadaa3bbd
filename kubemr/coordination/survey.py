"""Look at all shards of a stage at once, consistently: is it complete, has anything failed for good?

A stage is complete when a quorum list holds exactly the recorded number of shards, with the recorded
number of tasks, and all of them are committed.  Labels are only used to find out cheaply that it is *not*.
"""

from __future__ import annotations

from attr import frozen

from kubemr.coordination.job import JobView, Stage
from kubemr.coordination.listing import list_all
from kubemr.coordination.names import LABEL_TASKS
from kubemr.coordination.outputs import Index
from kubemr.locks.request import Op
from kubemr.locks.shard import SHARDS, Shard
from kubemr.locks.taskstate import TaskState


@frozen
class Survey:
    """A stage's tasks at one resourceVersion.  `complete` is the only thing that may be concluded upon."""

    stage: Stage
    shards: tuple[Shard, ...]
    tasks: dict[int, TaskState]
    resource_version: str

    @property
    def complete(self) -> bool:
        """Every task has an attempt that counts, and none is missing from the list."""
        return (
            len(self.shards) == self.stage.shards
            and len(self.tasks) == self.stage.total
            and all(state.committed for state in self.tasks.values())
        )

    @property
    def failed(self) -> list[int]:
        """Tasks that failed for good."""
        return [number for number, state in self.tasks.items() if state.name == "failed"]

    @property
    def index(self) -> Index:
        """The attempts that count, of a complete stage."""
        return Index(
            [
                str(self.tasks[number].attempt) if self.tasks[number].name == "done" else ""
                for number in range(self.stage.total)
            ]
        )


def survey(job: JobView, stage: Stage) -> Op[Survey]:
    """Read every shard of the stage."""
    listed = yield from list_all(SHARDS, job.namespace, job.selector(stage))
    names = {job.shard_name(stage, number) for number in range(stage.shards)}
    shards = tuple(Shard.parse(item) for item in listed.items if item["metadata"]["name"] in names)
    tasks = {number: state for shard in shards for number, state in shard.tasks.items()}
    return Survey(stage, shards, dict(sorted(tasks.items())), listed.resource_version)


@frozen
class Unfinished:
    """Some shards whose hint says that they are not done; `resource_version` is where a watch may begin."""

    shards: tuple[Shard, ...]
    resource_version: str


def unfinished(job: JobView, stage: Stage, limit: int | None = None) -> Op[Unfinished]:
    """The shards that are not labelled `done`: cheap at the end of a stage, when there are few."""
    selector = job.selector(stage, tasks=f"{LABEL_TASKS}!=done")
    listed = yield from list_all(SHARDS, job.namespace, selector, limit=limit)
    return Unfinished(tuple(Shard.parse(item) for item in listed.items), listed.resource_version)


def open_shards(job: JobView, stage: Stage, limit: int) -> Op[Unfinished]:
    """Some shards that are labelled `open`."""
    selector = job.selector(stage, tasks=f"{LABEL_TASKS}=open")
    listed = yield from list_all(SHARDS, job.namespace, selector, limit=limit)
    return Unfinished(tuple(Shard.parse(item) for item in listed.items), listed.resource_version)
