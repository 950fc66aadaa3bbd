"""Store objects by key, with one revision counter and a bounded history of changes.

Every write raises the revision by one and sets it as the object's `resourceVersion`, as etcd does.  A stored object is
never changed: a write stores a new document, which may share parts with the old one.  A `Change` keeps the document
before it.  So the history can return a collection *as it was* at a revision (`at_revision`), and a watch can resume
from there.  A read of what is older than `compacted` raises `CompactedError` (the server's 410).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NewType

from attr import define, frozen

from kubemr.locks.effects import Json

Key = NewType("Key", str)
"""`namespace/name`, or `/name` for a kind without namespaces: in the order in which the server lists."""

Collection = NewType("Collection", str)
"""`plural.group`: the objects that are stored together, whatever version a client asks for."""


class CompactedError(Exception):
    """The history no longer contains `revision`; it begins after `oldest`."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"revision {revision} has been compacted, the oldest is {oldest}")
        self.revision = revision
        self.oldest = oldest


@frozen
class Change:
    """A write: `old` is None if the object was created, `new` None if it was removed.

    `last` is the object as the watch event of a removal shows it: its last state, at the revision of the removal.
    """

    revision: int
    key: Key
    old: Json
    new: Json
    last: Json


@define
class _Log:
    """The changes of one collection, oldest first; `revisions` holds their revisions, for searching."""

    changes: list[Change]
    revisions: list[int]
    dropped: int  # how many were cut off at the front, so that positions stay valid


def key_of(namespace: str | None, name: str) -> Key:
    """Return the key of an object."""
    return Key(f"{namespace or ''}/{name}")


class Store:
    """Objects of all kinds.  `keep` is how many changes per collection a watch may lag behind."""

    def __init__(self, keep: int) -> None:
        self.revision = 1
        self.compacted: int = 0
        self._keep: Final = keep
        self._objects: dict[Collection, dict[Key, Json]] = {}
        self._sorted: dict[Collection, list[Key] | None] = {}
        self._logs: dict[Collection, _Log] = {}
        self._oldest: dict[Collection, int] = {}

    def get(self, collection: Collection, key: Key) -> Json:
        """Return the stored object, or None."""
        objects = self._objects.get(collection)
        return objects.get(key) if objects else None

    def collections(self) -> list[Collection]:
        """Return all collections that ever held an object."""
        return list(self._objects)

    def values(self, collection: Collection) -> Iterator[Json]:
        """Return the objects of a collection in no particular order."""
        return iter(self._objects.get(collection, {}).values())

    def put(self, collection: Collection, key: Key, obj: Json) -> Json:
        """Store `obj` (whose metadata is the caller's own copy) and return it with its resourceVersion."""
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        objects = self._objects.setdefault(collection, {})
        old = objects.get(key)
        if old is None:
            self._sorted[collection] = None
        objects[key] = obj
        self._record(collection, Change(self.revision, key, old, obj, obj))
        return obj

    def remove(self, collection: Collection, key: Key) -> Json:
        """Remove the object and return its last state, at the revision of the removal."""
        self.revision += 1
        old = self._objects[collection].pop(key)
        self._sorted[collection] = None
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.revision)}}
        self._record(collection, Change(self.revision, key, old, None, last))
        return last

    def _record(self, collection: Collection, change: Change) -> None:
        log = self._logs.get(collection)
        if log is None:
            log = self._logs[collection] = _Log([], [], 0)
        log.changes.append(change)
        log.revisions.append(change.revision)
        if len(log.changes) > 2 * self._keep:
            self._truncate(collection, log, len(log.changes) - self._keep)

    def _truncate(self, collection: Collection, log: _Log, count: int) -> None:
        self._oldest[collection] = log.revisions[count - 1]
        del log.changes[:count], log.revisions[:count]
        log.dropped += count

    def oldest(self, collection: Collection) -> int:
        """Return the oldest revision from which this collection can still be read or watched."""
        return max(self.compacted, self._oldest.get(collection, 0))

    def compact(self, revision: int) -> None:
        """Forget what was before `revision`: reads and watches from before it fail from now on."""
        self.compacted = max(self.compacted, min(revision, self.revision))
        for collection, log in self._logs.items():
            count = bisect_right(log.revisions, self.compacted)
            if count:
                self._truncate(collection, log, count)

    def position_after(self, collection: Collection, revision: int) -> int:
        """Return the position in the log after all changes up to `revision`.  Raises `CompactedError`."""
        if revision < self.oldest(collection):
            raise CompactedError(revision, self.oldest(collection))
        log = self._logs.get(collection)
        return log.dropped + bisect_right(log.revisions, revision) if log else 0

    def changes(self, collection: Collection, position: int) -> list[Change]:
        """Return the changes from `position` on.  Raises `CompactedError` if some of them are gone."""
        log = self._logs.get(collection)
        if log is None or position == log.dropped + len(log.changes):
            return []
        if position < log.dropped:
            raise CompactedError(0, self.oldest(collection))
        return log.changes[position - log.dropped :]

    def keys(self, collection: Collection) -> list[Key]:
        """Return the keys of a collection, sorted."""
        keys = self._sorted.get(collection)
        if keys is None:
            keys = self._sorted[collection] = sorted(self._objects.get(collection, ()))
        return keys

    def at_revision(self, collection: Collection, revision: int) -> dict[Key, Json]:
        """Return the collection as it was at `revision`, in the order of its keys.  Raises `CompactedError`."""
        position = self.position_after(collection, revision)
        objects = self._objects.get(collection, {})
        later = self.changes(collection, position)
        if not later:
            return {key: objects[key] for key in self.keys(collection)}
        before: dict[Key, Json] = {}
        for change in later:
            before.setdefault(change.key, change.old)
        was = {**objects, **before}
        return {key: obj for key in sorted(was) if (obj := was[key]) is not None}
