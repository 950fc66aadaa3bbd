"""The `tasks` of a shard's document: an entry for each task, or one entry for all of them.

In a job of quick tasks, the tasks of a shard are usually all in one state.
They are pending when the job is deployed, running when a worker claims the whole shard, and done when it commits them.
One entry then stands for all tasks, as in `0-511: pending/1/0/0/`.
A patch of 512 tasks then costs the apiserver and etcd what a patch of a single task does.

A worker that changes only some of the tasks writes an entry for each task, and the shard keeps that form.
Two workers can then change different tasks without a conflict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from kubemr.tasks.state import InvalidStateError

MAX_TASKS: Final = 512
"""The largest number of tasks in a shard, in either form."""

_NUMBER = r"0|[1-9][0-9]{0,9}"
"""A task number as the admission policy has it.

Python raises a ValueError for thousands of digits, so their count is bounded here."""
_KEY = re.compile(rf"({_NUMBER})(?:-({_NUMBER}))?")
_SINGLE = re.compile(_NUMBER).fullmatch


def numbers(key: str) -> range:
    """Return the tasks of an entry: one task for the key `7`, and 512 for `0-511`.

    Raise `InvalidStateError` for any other key.
    """
    found = _KEY.fullmatch(key)
    if found is not None:
        first = int(found[1])
        last = int(found[2] or first)
        if found[2] is None or first < last < first + MAX_TASKS:
            return range(first, last + 1)
    of_several = f"the first and the last of at most {MAX_TASKS} tasks, as in 0-511"
    raise InvalidStateError(f"{key!r} does not name tasks: expected a task number, or {of_several}")


def key(tasks: range) -> str:
    """Return the key of one entry for all of these consecutive tasks; the inverse of `numbers`."""
    return str(tasks[0]) if len(tasks) == 1 else f"{tasks[0]}-{tasks[-1]}"


def tasks_per_entry(document: Mapping[str, str]) -> int:
    """Return the number of tasks that each entry stands for.

    Of several entries no key is read, and a single key that names no tasks counts as one task.
    A caller that counts need not validate: there may be tens of thousands of shards, and any client may have made them.
    """
    if len(document) == 1:
        ((name, _),) = document.items()
        with suppress(InvalidStateError):
            return len(numbers(name))
    return 1


def texts(document: Mapping[str, str]) -> dict[int, str]:
    """Return the state of each task, in order of the task numbers.

    Raise `InvalidStateError` if an entry stands for several tasks and is not the only entry: no patch could test that.
    """
    if len(document) == 1:
        ((name, text),) = document.items()
        return dict.fromkeys(numbers(name), text)
    for name in document:
        if not _SINGLE(name):
            raise InvalidStateError(
                f"{name!r} is not the only entry: expected one entry for all tasks, or a task number as each key"
            )
    return dict(sorted((int(name), text) for name, text in document.items()))


def expand(states: Mapping[int, str]) -> dict[str, str]:
    """Return an entry for each task."""
    return {str(number): text for number, text in states.items()}


def collapse(states: Mapping[int, str]) -> dict[str, str]:
    """Return one entry for all tasks if they are consecutive and in one state, else an entry for each task."""
    first, last = min(states), max(states)
    if last - first + 1 == len(states) and len(set(states.values())) == 1:
        return {key(range(first, last + 1)): states[first]}
    return expand(states)
