"""The states of up to a million tasks in little memory.

The tasks have few different state strings, because all tasks that a worker committed in one epoch have the same one.
So each string is kept once, and each task has only the position of its string.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

from attr import define, field

from kubemr.tasks import encoding
from kubemr.tasks.state import InvalidStateError

MISSING = 0
"""The position for a task of which no state was added."""


@define(eq=False)
class TaskTable:
    """The state strings of `total` tasks, with four bytes per task; `texts` are the strings that occur."""

    total: int
    texts: list[str] = field(factory=lambda: [""], init=False)
    has_unknown_tasks: bool = field(default=False, init=False)
    """True if a shard had a task number that the stage does not have, or a key that names no tasks."""
    _known: dict[str, int] = field(factory=dict, init=False)
    _positions: array[int] = field(init=False)

    @_positions.default
    def _none_yet(self) -> array[int]:
        return array("I", [MISSING]) * self.total

    def add_shard(self, tasks: Mapping[str, str]) -> None:
        """Add the tasks of a shard's document, replacing their states from before."""
        positions, known, total = self._positions, self._known, self.total
        try:
            texts = encoding.texts(tasks)
        except InvalidStateError:
            self.has_unknown_tasks = True
            return
        for number, text in texts.items():
            if number >= total:
                self.has_unknown_tasks = True
                continue
            position = known.get(text)
            if position is None:
                position = known[text] = len(self.texts)
                self.texts.append(text)
            positions[number] = position

    def text(self, number: int) -> str:
        """Return a task's state string, or an empty string if there is none."""
        return self.texts[self._positions[number]] if 0 <= number < self.total else ""

    @property
    def states(self) -> set[int]:
        """The positions in `texts` of all strings that tasks have now, and `MISSING` if a task has none."""
        return set(self._positions)

    def tasks_in(self, positions: set[int]) -> Iterator[int]:
        """Return the tasks whose string is at one of these positions, in order."""
        return (number for number, position in enumerate(self._positions) if position in positions)

    def map_states(self, values: Mapping[int, str]) -> Iterator[str]:
        """Return for each task, in order, the entry of `words` at the position of its string."""
        return (values[position] for position in self._positions)
