"""The `tasks` of a shard's document: an entry for each task, or one entry for all of them.

Tasks that are all in one state are most of what a job of quick tasks ever has: pending when it is deployed, running
when a worker takes a whole shard, done when it is through.  So then one entry tells of them all, as in
`0-511: pending/1/0/0/`, and a patch of 512 tasks costs the apiserver and etcd what one of a single task does.
Whoever changes a part of them writes an entry for each, and so it stays: two workers can then change different tasks
without meeting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from kubemr.tasks.state import InvalidStateError

MOST_TASKS: Final = 512
"""Of a shard, whatever its form."""

_NUMBER = r"0|[1-9][0-9]{0,9}"
"""As the admission policy has it.  Of thousands of digits Python makes no number, but an error of another kind."""
_KEY = re.compile(rf"({_NUMBER})(?:-({_NUMBER}))?")
_SINGLE = re.compile(_NUMBER).fullmatch


def numbers(key: str) -> range:
    """The tasks of which an entry tells: `7` of one, `0-511` of 512.  Raises `InvalidStateError` for any other key."""
    found = _KEY.fullmatch(key)
    if found is not None:
        first = int(found[1])
        last = int(found[2] or first)
        if found[2] is None or first < last < first + MOST_TASKS:
            return range(first, last + 1)
    of_several = f"the first and the last one of at most {MOST_TASKS}, as in 0-511"
    raise InvalidStateError(f"{key!r} does not name tasks: expected a number, or {of_several}")


def key(tasks: range) -> str:
    """The key of one entry for all of these, one after another; the inverse of `numbers`."""
    return str(tasks[0]) if len(tasks) == 1 else f"{tasks[0]}-{tasks[-1]}"


def tasks_per_entry(document: Mapping[str, str]) -> int:
    """Of how many tasks each of the entries tells.

    It reads no key where there are several, and takes one that names no tasks for one task's: who counts does not
    judge, and there may be tens of thousands of shards to count, by whomever they were made.
    """
    if len(document) == 1:
        ((name, _),) = document.items()
        with suppress(InvalidStateError):
            return len(numbers(name))
    return 1


def texts(document: Mapping[str, str]) -> dict[int, str]:
    """The state of each task, in order of their numbers.

    Raises `InvalidStateError` where several have one entry and it is not the only one: no patch could test that.
    """
    if len(document) == 1:
        ((name, text),) = document.items()
        return dict.fromkeys(numbers(name), text)
    for name in document:
        if not _SINGLE(name):
            raise InvalidStateError(
                f"{name!r} is not the only entry: expected it alone, or the number of a task in each"
            )
    return dict(sorted((int(name), text) for name, text in document.items()))


def expand(states: Mapping[int, str]) -> dict[str, str]:
    """An entry for each task."""
    return {str(number): text for number, text in states.items()}


def collapse(states: Mapping[int, str]) -> dict[str, str]:
    """One entry where all of them, one after another, are in one state; else one for each."""
    first, last = min(states), max(states)
    if last - first + 1 == len(states) and len(set(states.values())) == 1:
        return {key(range(first, last + 1)): states[first]}
    return expand(states)
