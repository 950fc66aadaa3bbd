"""The changes of an object that a handler receives."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from kubemr.controller.informer.object_keys import Object


@frozen
class Added:
    """The object is new to the handler; `initial` if it existed when the informer, or the handler, started."""

    obj: Object
    initial: bool


@frozen
class Updated:
    """The object changed, in one or several steps from `old` to `new`."""

    old: Object
    new: Object


@frozen
class Deleted:
    """The object was deleted.

    With `tombstone` the deletion itself was missed, and a later list showed that the object is gone.
    Then `obj` is the last state that the informer saw, not the final one.
    """

    obj: Object
    tombstone: bool


Change: TypeAlias = Added | Updated | Deleted


def merge(pending: list[Change], change: Change) -> list[Change]:
    """Return `pending`, the changes of one key that a handler has not received, with `change` added: at most two.

    ==============  ===========  ========================================================
    last pending    then         the handler receives
    ==============  ===========  ========================================================
    added           updated      added, with the new state
    added           deleted      nothing, because it never received the object
    updated         updated      one update from the first old to the last new state
    updated         deleted      deleted
    deleted         added        both, because they are two objects with the same name
    ==============  ===========  ========================================================
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
