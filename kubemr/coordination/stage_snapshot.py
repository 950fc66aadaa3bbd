"""Look at all shards of a stage at once, consistently: is it complete, has anything failed for good?

A stage is complete when a quorum list holds exactly the recorded number of shards, with the recorded
number of tasks, and all of them are committed.  Labels are only used to find out cheaply that it is *not*.

There may be 31,250 shards, or a million tasks: of a page nothing is kept but its tasks' strings (`ledger`).
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

MOST_MISLABELLED: Final = 64
"""Shards with a wrong hint that one survey tells of: more than these are told of by the next."""


@frozen
class StageSnapshot:
    """A stage's tasks at one resourceVersion.  `complete` is the only thing that may be concluded upon."""

    stage: Stage
    shards: int
    """How many of the stage's shards there were."""
    tasks: TaskTable
    mislabelled: tuple[Shard, ...]
    """Some of those whose hint did not fit their tasks."""
    resource_version: str
    _states: dict[int, TaskState] = field(init=False)
    """By its place in the ledger, each state that a task has."""

    @_states.default
    def _parsed(self) -> dict[int, TaskState]:
        return {place: TaskState.parse(self.tasks.texts[place]) for place in self.tasks.states - {MISSING}}

    @property
    def complete(self) -> bool:
        """Every task has an attempt that counts, and none is missing from the list."""
        return (
            self.shards == self.stage.shards
            and not self.tasks.has_unknown_tasks
            and MISSING not in self.tasks.states
            and all(state.committed for state in self._states.values())
        )

    @property
    def failed(self) -> list[int]:
        """Tasks that failed for good."""
        failed = {place for place, state in self._states.items() if state.name == "failed"}
        return list(self.tasks.tasks_in(failed)) if failed else []

    def state(self, number: int) -> TaskState:
        """A task's state."""
        return TaskState.parse(self.tasks.text(number))

    @property
    def index(self) -> Index:
        """The attempts that count, of a complete stage."""
        words = {place: str(state.attempt) if state.name == "done" else "" for place, state in self._states.items()}
        return Index(list(self.tasks.map_states(words)))


@define
class _Look:
    """What has been seen of one list."""

    job: JobView
    stage: Stage
    tasks: TaskTable = field(init=False)
    shards: int = 0
    mislabelled: list[Shard] = field(factory=list)

    @tasks.default
    def _no_tasks(self) -> TaskTable:
        return TaskTable(self.stage.total)

    def see(self, document: Json) -> None:
        """One more shard, if it is the stage's."""
        number = document["metadata"]["name"].rpartition("-")[2]
        if not (number.isdecimal() and int(number) < self.stage.shards):
            return
        if document["metadata"]["name"] != self.job.shard_name(self.stage, int(number)):
            return  # It has the labels, but it is none of the job's.
        self.shards += 1
        self.tasks.add_shard(document["tasks"])
        states = {place: TaskState.parse(text) for place, text in enumerate(set(document["tasks"].values()))}
        label = (document["metadata"].get("labels") or {}).get(LABEL_TASKS, "")
        if label not in ("waiting", hint_of(states)) and len(self.mislabelled) < MOST_MISLABELLED:
            self.mislabelled.append(Shard.parse(document))


def take_snapshot(job: JobView, stage: Stage) -> Op[StageSnapshot]:
    """Read every shard of the stage."""
    pages = Pages(SHARDS, job.namespace, job.selector(stage), shards_a_page(stage))
    look = _Look(job, stage)
    while (page := (yield from pages.next())) is not None:
        if page.first:
            look = _Look(job, stage)
        for document in page.items:
            look.see(document)
    return StageSnapshot(stage, look.shards, look.tasks, tuple(look.mislabelled), pages.resource_version)


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
