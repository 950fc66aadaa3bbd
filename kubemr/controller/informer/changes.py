"""What can happen to an object, as a handler hears it."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from kubemr.controller.informer.object_keys import Object


@frozen
class Added:
    """The object is new to the handler; `initial` if it was there when the informer, or the handler, began."""

    obj: Object
    initial: bool


@frozen
class Updated:
    """The object changed; what happened between `old` and `new` may have been more than one change."""

    old: Object
    new: Object


@frozen
class Deleted:
    """The object is gone.

    With `tombstone` the deletion was missed: it is known from a later list only, and `obj` is the last state that was
    seen, not the final one.
    """

    obj: Object
    tombstone: bool


Change: TypeAlias = Added | Updated | Deleted


def merge(pending: list[Change], change: Change) -> list[Change]:
    """`pending`, what a handler has yet to hear of one key, with `change` after it: at most two changes.

    ==============  ===========  ====================================================
    last pending    then         the handler hears
    ==============  ===========  ====================================================
    added           updated      added, with the new state
    added           deleted      nothing: it never knew the object
    updated         updated      one update from the first old to the last new state
    updated         deleted      deleted
    deleted         added        both: two objects of one name
    ==============  ===========  ====================================================
    """
    if not pending:
        return [change]
    *before, last = pending
    match last, change:
        case Added(_, initial), Updated(_, new):
            return [*before, Added(new, initial)]
        case Added(), Deleted():
            return before
        case Updated(old, _), Updated(_, new):
            return [*before, Updated(old, new)]
        case Updated(), Deleted():
            return [*before, change]
    return [*pending, change]
