"""JSON Patches (RFC 6902), built operation by operation, whose conditions can be evaluated later.

A conditional patch is the one primitive of kubemr: some `test` operations, then changes.
The apiserver applies all of it or nothing, so of many processes that send one at once, one succeeds::

    Patch().test("/lockholder", None).add("/lockholder", "me")

`Patch` is immutable; every method returns a longer one.
Two questions about an object that was read afterwards decide whether a patch was applied:
`holds` says whether its tests hold in the object, and `shows` whether the object has the values that it sets.

`set_at_path` makes a patch for a path whose parents may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from attr import evolve, frozen

from kubemr.locks.effects import Json
from kubemr.locks.errors import InvalidLockError


class _Missing:
    """The type of `MISSING`, which `lookup` returns for an absent path: not the same as an explicit null."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()


def pointer(*segments: str | int) -> str:
    """Return the JSON Pointer (RFC 6901) of `segments`, e.g. `/metadata/labels/a~1b`."""
    return "".join("/" + str(segment).replace("~", "~0").replace("/", "~1") for segment in segments)


def lookup(document: Json, path: str) -> Json:
    """Return the value at a JSON Pointer, or `MISSING`."""
    if path == "":
        return document
    value = document
    for raw in path.split("/")[1:]:
        segment = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            if segment not in value:
                return MISSING
            value = value[segment]
        elif isinstance(value, list):
            if not segment.isdigit() or int(segment) >= len(value):
                return MISSING
            value = value[int(segment)]
        else:
            return MISSING
    return value


@frozen
class Patch:
    """A JSON Patch, as a sequence of operations."""

    operations: tuple[dict[str, Json], ...] = ()

    def _with(self, operation: dict[str, Json]) -> Patch:
        return evolve(self, operations=(*self.operations, operation))

    def test(self, path: str, value: Json) -> Patch:
        """Require the value at `path` to equal `value`; None also matches an absent path."""
        return self._with({"op": "test", "path": path, "value": value})

    def add(self, path: str, value: Json) -> Patch:
        """Set a member, which need not exist, or insert into a list.

        The parent must exist.
        """
        return self._with({"op": "add", "path": path, "value": value})

    def replace(self, path: str, value: Json) -> Patch:
        """Set a member.

        The apiserver, unlike the RFC, also accepts an absent member.
        """
        return self._with({"op": "replace", "path": path, "value": value})

    def remove(self, path: str) -> Patch:
        """Remove a member, which must exist."""
        return self._with({"op": "remove", "path": path})

    def swap(self, path: str, old: Json, new: Json) -> Patch:
        """Compare and set: `test` for `old`, then `replace` by `new`."""
        return self.test(path, old).replace(path, new)

    def swaps(self, changes: Iterable[tuple[str, Json, Json]]) -> Patch:
        """Append a `swap` for each (path, old, new).

        One call copies the operations once, and a call of `swap` for each would copy them every time.
        """
        more: list[dict[str, Json]] = []
        for path, old, new in changes:
            more.append({"op": "test", "path": path, "value": old})
            more.append({"op": "replace", "path": path, "value": new})
        return evolve(self, operations=(*self.operations, *more))

    def __add__(self, other: Patch) -> Patch:
        return Patch(self.operations + other.operations)

    def __len__(self) -> int:
        return len(self.operations)

    @property
    def body(self) -> list[dict[str, Json]]:
        """The JSON document to send."""
        return list(self.operations)

    def shows(self, document: Json) -> bool:
        """Return True if `document` has every value that the patch sets."""
        return all(
            lookup(document, operation["path"]) == operation["value"]
            for operation in self.operations
            if operation["op"] in ("add", "replace")
        )

    def holds(self, document: Json) -> bool:
        """Return True if every test of the patch holds in `document`.

        Tests of paths that an earlier operation of the patch changes are skipped: they concern the patch's own result.
        """
        changed: set[str] = set()
        for operation in self.operations:
            path = operation["path"]
            if operation["op"] != "test":
                changed.add(path)
            elif path not in changed:
                found = lookup(document, path)
                if found is MISSING:
                    found = None
                if not _same(found, operation["value"]):
                    return False
        return True


def _same(one: Json, other: Json) -> bool:
    """Compare as the apiserver does: in JSON, unlike Python, True differs from 1, and 1 from 1.0."""
    return bool(one == other) and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def set_at_path(document: Json, path: str, old: Json, new: Json) -> Patch:
    """Return the patch that sets `path` to `new`, under a test that it is `old` (None: null or absent).

    JSON Patch cannot set `/a/b/c` if `/a/b` is missing, and `test` fails on a path whose parent is missing.
    So the patch is made for `document`, the object as it was read.
    It creates the topmost missing parent with everything below it, under a test that this parent is still missing.
    An element of a list is replaced, because `add` would insert into the list.

    Raise `InvalidLockError` if a parent in the path is neither an object nor a list.
    """
    segments = split_pointer(path)
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


def split_pointer(path: str) -> list[str]:
    """Return the segments of a JSON Pointer.

    Raise `InvalidLockError` if `path` is not one, or points to the whole document.
    """
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
            f"path {path!r}: the list has {len(parent)} elements, no {segments[-1]!r}; add the element first"
        )
    return Patch().test(path, old).replace(path, new)
