"""The states of very many tasks in little memory.

A stage may have a million tasks.  Each has one of few strings, as all that a worker committed in one epoch have the
same: so a string is kept once, and of each task only which of them it is.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

from attr import define, field

from kubemr.tasks import encoding
from kubemr.tasks.state import InvalidStateError

MISSING = 0
"""The place of a task that nobody has told of."""


@define(eq=False)
class TaskTable:
    """The strings of `total` tasks, by number: four bytes each.  `texts` are those that occur."""

    total: int
    texts: list[str] = field(factory=lambda: [""], init=False)
    has_unknown_tasks: bool = field(default=False, init=False)
    """There was a task with a number that the stage does not have, or a shard with a key that is no number."""
    _known: dict[str, int] = field(factory=dict, init=False)
    _places: array[int] = field(init=False)

    @_places.default
    def _none_yet(self) -> array[int]:
        return array("I", [MISSING]) * self.total

    def add_shard(self, tasks: Mapping[str, str]) -> None:
        """The tasks of one shard, as its document has them.  What was noted of them before is replaced."""
        places, known, total = self._places, self._known, self.total
        try:
            texts = encoding.texts(tasks)
        except InvalidStateError:
            self.has_unknown_tasks = True
            return
        for number, text in texts.items():
            if number >= total:
                self.has_unknown_tasks = True
                continue
            place = known.get(text)
            if place is None:
                place = known[text] = len(self.texts)
                self.texts.append(text)
            places[number] = place

    def text(self, number: int) -> str:
        """A task's string; empty where there is none."""
        return self.texts[self._places[number]] if 0 <= number < self.total else ""

    @property
    def states(self) -> set[int]:
        """Where in `texts` the strings are that tasks have now; with `MISSING` if a task has none."""
        return set(self._places)

    def tasks_in(self, places: set[int]) -> Iterator[int]:
        """The tasks whose string is one of these, in order."""
        return (number for number, place in enumerate(self._places) if place in places)

    def map_states(self, words: Mapping[int, str]) -> Iterator[str]:
        """For each task, in order, what `words` has at the place of its string."""
        return (words[place] for place in self._places)
