"""A task shard: the states of some tasks of one stage, in one small object.

It is small because the apiserver's cost of a patch grows with the object.
It holds more than one task so that one patch can commit and claim many.

The label `kubemr.turbobytes.com/tasks` is a hint for workers that search for tasks.
It may be wrong at any time, and no decision rests on it.
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
"""The smallest size of a shard, unless the stage has fewer tasks."""
SHARD_SIZES: Final = (TASKS_PER_SHARD, 64, 128, 256, encoding.MAX_TASKS)
"""The numbers of tasks per shard to choose from; the last shard of a stage may have fewer."""
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
    """A shard as it was last read.

    `tasks` maps a task's number to its state, and `hint` is the label's value.
    `collapsed` is True if one entry of the document stands for all tasks.
    """

    namespace: str
    name: str
    tasks: Mapping[int, TaskState]
    hint: str
    collapsed: bool = False

    @classmethod
    def parse(cls, document: Json) -> Shard:
        """Parse a shard's document.

        Raise `InvalidStateError` if a key or a state does not follow the grammar.
        """
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
        """The shard's object."""
        return Target(SHARDS, self.namespace, self.name)

    @property
    def pending(self) -> list[int]:
        """The tasks that may be claimed."""
        return [number for number, state in self.tasks.items() if state.name == "pending"]

    @property
    def committed(self) -> bool:
        """True if every task has an attempt that counts."""
        return all(state.committed for state in self.tasks.values())

    @property
    def failed(self) -> list[int]:
        """The tasks in the state `failed`, which is final."""
        return [number for number, state in self.tasks.items() if state.name == "failed"]

    def held_by(self, token: Token) -> dict[int, TaskState]:
        """Return the running tasks that `token` holds."""
        return {number: state for number, state in self.tasks.items() if state.held_by(token)}

    @property
    def holders(self) -> set[Token]:
        """The tokens of all holders of running tasks."""
        return {token for state in self.tasks.values() if state.name == "running" for token in state.holders}

    def change(self, states: Mapping[int, TaskState]) -> Patch:
        """Return the patch that changes tasks from their states in this shard to `states`, and the hint with them.

        A change of all tasks tests and replaces the whole map: two operations cost the apiserver less than two a task.
        The map stays one entry as long as all tasks change alike; after that it has an entry per task permanently.
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
        """Return the patch that makes the hint match the tasks, or None if it matches.

        The patch tests the whole map: a worker that changes a task in the meantime also writes the hint.
        """
        hint = hint_of(self.tasks)
        if hint == self.hint or self.hint == "waiting":
            return None
        return Patch().test(TASKS_PATH, self._document(self.tasks)).add(HINT_PATH, hint)

    def _document(self, tasks: Mapping[int, TaskState]) -> dict[str, str]:
        """Return the map of all tasks in the form that the document has."""
        return (encoding.collapse if self.collapsed else encoding.expand)(_texts(tasks))


def task_path(number: int) -> str:
    """Return the JSON Pointer to a task's state, if the task has its own entry."""
    return f"{TASKS_PATH}/{number}"


def _texts(states: Mapping[int, TaskState]) -> dict[int, str]:
    """Return the state strings.

    Each is built once, because many tasks share one `TaskState`.
    """
    known = {id(state): state for state in states.values()}
    texts = {key: str(state) for key, state in known.items()}
    return {number: texts[id(state)] for number, state in states.items()}


def hint_of(tasks: Mapping[int, TaskState]) -> Hint:
    """Return the label's value that matches the tasks of a shard of the current stage."""
    names = {state.name for state in tasks.values()}
    if "pending" in names:
        return "open"
    if names <= {"done", "empty"}:
        return "done"
    return "drained"
