"""Write a value at any path of an object, whether or not the way there exists.

JSON Patch cannot set `/a/b/c` where `/a/b` is missing, `test` fails on a path whose parent is missing,
and `add` *inserts* into a list.  So the patch is made for the object as it was read: where a parent is
missing, the topmost missing one is created with everything below it, under a test that it is (still)
missing; an element of a list is replaced.
"""

from __future__ import annotations

from kubemr.locks.effects import Json
from kubemr.locks.lock_value import InvalidLockError
from kubemr.locks.patch import MISSING, Patch, lookup, pointer


def set_at_path(document: Json, path: str, old: Json, new: Json) -> Patch:
    """The patch that puts `new` at `path`, tested to be `old` as `document` shows it (None: null or absent).

    Raises `InvalidLockError` when the path leads through something that cannot have members.
    """
    segments = split(path)
    for depth in range(1, len(segments)):
        upper = pointer(*segments[:depth])
        parent = lookup(document, upper)
        if parent is MISSING or parent is None:
            nested = new
            for segment in reversed(segments[depth:]):
                nested = {segment: nested}
            return _set(document, segments[:depth], None, nested)
        if not isinstance(parent, (dict, list)):
            raise InvalidLockError(f"path {path!r}: {upper!r} is {parent!r}, which has no members; choose another path")
    return _set(document, segments, old, new)


def split(path: str) -> list[str]:
    """The segments of a JSON Pointer.  Raises `InvalidLockError` for what is none, and for the whole document."""
    if not path.startswith("/") or path == "/":
        raise InvalidLockError(f"path {path!r}: expected a JSON Pointer below the object's root, e.g. '/lockholder'")
    return [segment.replace("~1", "/").replace("~0", "~") for segment in path.split("/")[1:]]


def _set(document: Json, segments: list[str], old: Json, new: Json) -> Patch:
    path = pointer(*segments)
    parent = lookup(document, pointer(*segments[:-1]))
    if not isinstance(parent, list):
        return Patch().test(path, old).add(path, new)
    if lookup(document, path) is MISSING:
        raise InvalidLockError(
            f"path {path!r}: the list has {len(parent)} elements, no {segments[-1]!r}; it is not grown"
        )
    return Patch().test(path, old).replace(path, new)
