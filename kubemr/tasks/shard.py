"""A task shard: the state of some tasks of one stage, in one small object.

Small, because what a patch costs the apiserver grows with the object it patches; more than one task,
because one patch can then finish and claim many.  The label `kubemr.turbobytes.com/tasks` is a hint for
workers that look for work.  It may be wrong at any moment, and nothing is ever concluded from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from attr import frozen

from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json, Resource
from kubemr.locks.patch import Patch, pointer
from kubemr.tasks import encoding
from kubemr.tasks.state import TaskState, Token

SHARDS: Final = Resource("turbobytes.com", "v1alpha1", "mapreducetaskshards")
TASKS_PER_SHARD: Final = 32
"""At least, where a stage has so many."""
SHARD_SIZES: Final = (TASKS_PER_SHARD, 64, 128, 256, encoding.MOST_TASKS)
"""How many tasks the shards of a stage hold, the last one perhaps fewer."""
LARGEST_SHARD: Final = SHARD_SIZES[-1]

LABEL_UID: Final = "kubemr.turbobytes.com/job-uid"
LABEL_RUN: Final = "kubemr.turbobytes.com/run"
LABEL_STAGE: Final = "kubemr.turbobytes.com/stage"
LABEL_TASKS: Final = "kubemr.turbobytes.com/tasks"
HINT_PATH: Final = pointer("metadata", "labels", LABEL_TASKS)
TASKS_PATH: Final = pointer("tasks")

Hint = Literal["waiting", "open", "drained", "done"]


@frozen
class Shard:
    """A shard as it was last seen.

    `tasks` maps a task's number to its state; `hint` is the label's value; `together`: one entry tells of all tasks.
    """

    namespace: str
    name: str
    tasks: Mapping[int, TaskState]
    hint: str
    collapsed: bool = False

    @classmethod
    def parse(cls, document: Json) -> Shard:
        """Raises `InvalidStateError` where a task's string, or its key, does not follow the grammar."""
        metadata = document["metadata"]
        texts = encoding.texts(document["tasks"])
        known = {text: TaskState.parse(text) for text in set(document["tasks"].values())}
        tasks = {number: known[text] for number, text in texts.items()}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            tasks=tasks,
            hint=(metadata.get("labels") or {}).get(LABEL_TASKS, ""),
            collapsed=len(document["tasks"]) < len(tasks),
        )

    @property
    def target(self) -> Target:
        """Where patches go."""
        return Target(SHARDS, self.namespace, self.name)

    @property
    def pending(self) -> list[int]:
        """The tasks that may be claimed."""
        return [number for number, state in self.tasks.items() if state.name == "pending"]

    @property
    def committed(self) -> bool:
        """Every task has an attempt that counts."""
        return all(state.committed for state in self.tasks.values())

    @property
    def failed(self) -> list[int]:
        """The tasks that failed for good."""
        return [number for number, state in self.tasks.items() if state.name == "failed"]

    def held_by(self, token: Token) -> dict[int, TaskState]:
        """The tasks that `token` may work on."""
        return {number: state for number, state in self.tasks.items() if state.held_by(token)}

    @property
    def holders(self) -> set[Token]:
        """Every token that holds a running task."""
        return {token for state in self.tasks.values() if state.name == "running" for token in state.holders}

    def change(self, states: Mapping[int, TaskState]) -> Patch:
        """The patch that moves each task from what this shard shows to `states`, and the hint along with it.

        All tasks at once are one value: two operations cost the apiserver less than two for each.  It is one entry for
        as long as they all go the same way, and then one for each for good.
        """
        if not states:
            return Patch()
        after = {**self.tasks, **states}
        if self.collapsed or len(states) == len(self.tasks):
            patch = Patch().swap(TASKS_PATH, self._document(self.tasks), self._document(after))
        else:
            old, new = _texts({number: self.tasks[number] for number in states}), _texts(states)
            patch = Patch().swaps((task_path(number), old[number], new[number]) for number in new)
        hint = hint_of(after)
        return patch if hint == self.hint else patch.add(HINT_PATH, hint)

    def repair(self) -> Patch | None:
        """The patch that makes the hint fit the tasks, or None when it does.

        It tests the whole map: if any task has moved on, whoever moved it repairs the hint.
        """
        hint = hint_of(self.tasks)
        if hint == self.hint or self.hint == "waiting":
            return None
        return Patch().test(TASKS_PATH, self._document(self.tasks)).add(HINT_PATH, hint)

    def _document(self, tasks: Mapping[int, TaskState]) -> dict[str, str]:
        """All its tasks as they stand in its document, or are to."""
        return (encoding.collapse if self.collapsed else encoding.expand)(_texts(tasks))


def task_path(number: int) -> str:
    """The JSON Pointer to a task's string, where it has an entry of its own."""
    return f"{TASKS_PATH}/{number}"


def _texts(states: Mapping[int, TaskState]) -> dict[int, str]:
    """Their strings; each is made once, as many tasks share one `TaskState`."""
    known = {id(state): state for state in states.values()}
    texts = {key: str(state) for key, state in known.items()}
    return {number: texts[id(state)] for number, state in states.items()}


def hint_of(tasks: Mapping[int, TaskState]) -> Hint:
    """What the label should say of a shard whose stage is on."""
    names = {state.name for state in tasks.values()}
    if "pending" in names:
        return "open"
    if names <= {"done", "empty"}:
        return "done"
    return "drained"
