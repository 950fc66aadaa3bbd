"""A consistent snapshot of all shards of a stage: is the stage complete, and has a task failed?

A stage is complete if a quorum list contains exactly the recorded number of shards and of tasks, all committed.
Labels serve only to find out cheaply that it is *not* complete.

There may be 31,250 shards, or a million tasks: of each page only the states of its tasks are kept (`TaskTable`).
"""

from __future__ import annotations

from typing import Final

from attr import define, field, frozen

from kubemr.coordination.job_view import JobView, Stage, shards_a_page
from kubemr.coordination.names import LABEL_TASKS
from kubemr.coordination.outputs import Index
from kubemr.coordination.pagination import Pages, list_all
from kubemr.coordination.task_table import MISSING, TaskTable
from kubemr.locks.effects import Json, Op
from kubemr.tasks.shard import SHARDS, Shard, hint_of
from kubemr.tasks.state import TaskState

MAX_MISLABELLED: Final = 64
"""The largest number of shards with a wrong hint in one snapshot; the next snapshot contains the others."""


@frozen
class StageSnapshot:
    """A stage's tasks at one resourceVersion.

    Decisions may rest on `complete`, and on nothing else.
    """

    stage: Stage
    shards: int
    """The number of the stage's shards that were found."""
    tasks: TaskTable
    mislabelled: tuple[Shard, ...]
    """Some of the shards whose hint does not match their tasks."""
    resource_version: str
    _states: dict[int, TaskState] = field(init=False)
    """Each state that occurs, by its position in `tasks.texts`."""

    @_states.default
    def _parsed(self) -> dict[int, TaskState]:
        return {position: TaskState.parse(self.tasks.texts[position]) for position in self.tasks.states - {MISSING}}

    @property
    def complete(self) -> bool:
        """True if every task has an attempt that counts, and no shard or task is missing."""
        return (
            self.shards == self.stage.shards
            and not self.tasks.has_unknown_tasks
            and MISSING not in self.tasks.states
            and all(state.committed for state in self._states.values())
        )

    @property
    def failed(self) -> list[int]:
        """The tasks in the state `failed`, which is final."""
        failed = {position for position, state in self._states.items() if state.name == "failed"}
        return list(self.tasks.tasks_in(failed)) if failed else []

    def state(self, number: int) -> TaskState:
        """Return a task's state."""
        return TaskState.parse(self.tasks.text(number))

    @property
    def index(self) -> Index:
        """The attempts that count, for a complete stage."""
        values = {
            position: str(state.attempt) if state.name == "done" else "" for position, state in self._states.items()
        }
        return Index(list(self.tasks.map_states(values)))


@define
class _Collected:
    """The content of the pages of one list so far."""

    job: JobView
    stage: Stage
    tasks: TaskTable = field(init=False)
    shards: int = 0
    mislabelled: list[Shard] = field(factory=list)

    @tasks.default
    def _no_tasks(self) -> TaskTable:
        return TaskTable(self.stage.total)

    def add(self, document: Json) -> None:
        """Add a shard, if it belongs to the stage."""
        number = document["metadata"]["name"].rpartition("-")[2]
        if not (number.isdecimal() and int(number) < self.stage.shards):
            return
        if document["metadata"]["name"] != self.job.shard_name(self.stage, int(number)):
            return  # It has the labels, but it is not a shard of the job.
        self.shards += 1
        self.tasks.add_shard(document["tasks"])
        states = {position: TaskState.parse(text) for position, text in enumerate(set(document["tasks"].values()))}
        label = (document["metadata"].get("labels") or {}).get(LABEL_TASKS, "")
        if label not in ("waiting", hint_of(states)) and len(self.mislabelled) < MAX_MISLABELLED:
            self.mislabelled.append(Shard.parse(document))


def take_snapshot(job: JobView, stage: Stage) -> Op[StageSnapshot]:
    """Read every shard of the stage, at one resourceVersion."""
    pages = Pages(SHARDS, job.namespace, job.selector(stage), shards_a_page(stage))
    collected = _Collected(job, stage)
    while (page := (yield from pages.next())) is not None:
        if page.first:
            collected = _Collected(job, stage)
        for document in page.items:
            collected.add(document)
    return StageSnapshot(stage, collected.shards, collected.tasks, tuple(collected.mislabelled), pages.resource_version)


@frozen
class Unfinished:
    """Some shards whose hint is not `done`; a watch may begin at `resource_version`."""

    shards: tuple[Shard, ...]
    resource_version: str


def unfinished(job: JobView, stage: Stage, limit: int | None = None) -> Op[Unfinished]:
    """List the shards that are not labelled `done`: a cheap request at the end of a stage, when they are few."""
    selector = job.selector(stage, tasks=f"{LABEL_TASKS}!=done")
    listed = yield from list_all(SHARDS, job.namespace, selector, limit=limit)
    return Unfinished(tuple(Shard.parse(item) for item in listed.items), listed.resource_version)


def open_shards(job: JobView, stage: Stage, limit: int) -> Op[Unfinished]:
    """List up to `limit` shards that are labelled `open`."""
    selector = job.selector(stage, tasks=f"{LABEL_TASKS}=open")
    listed = yield from list_all(SHARDS, job.namespace, selector, limit=limit)
    return Unfinished(tuple(Shard.parse(item) for item in listed.items), listed.resource_version)
