"""The two forms of a shard's `tasks`, as docs/protocol.md has them: an entry for each task, or one for all.

Written down here a second time, so that `kubemr.tasks.encoding` is not judged by itself.
"""

from __future__ import annotations

import re
from typing import Any

_TASK = r"(?:0|[1-9][0-9]*)"
_ENTRY = re.compile(rf"({_TASK})(?:-([1-9][0-9]*))?")
MOST = 512
"""A shard has so many tasks at most."""


class BadForm(ValueError):
    """It is neither of them."""


def by_task(tasks: Any) -> dict[str, str]:
    """The state of each task by its number, whatever the form.  Raises `BadForm`."""
    if not together(tasks):
        return dict(tasks)
    ((key, state),) = tasks.items()
    first, last = map(int, key.split("-"))
    return {str(number): state for number in range(first, last + 1)}


def together(tasks: Any) -> bool:
    """One entry tells of several tasks.  Raises `BadForm`."""
    if not isinstance(tasks, dict) or not tasks or not all(isinstance(state, str) for state in tasks.values()):
        raise BadForm(f"{tasks!r} is no map of states")
    for key in tasks:
        found = _ENTRY.fullmatch(key)
        if found is None:
            raise BadForm(f"{key!r} names no tasks")
        if found[2] is not None:
            if len(tasks) > 1:
                raise BadForm(f"{key!r} is one of several entries")
            if not int(found[1]) < int(found[2]) < int(found[1]) + MOST:
                raise BadForm(f"{key!r} is not from a first task to a later one, {MOST} in all at most")
            return True
    return False
