"""Watch a collection: a subscription is a position in the history, and `poll` reads from there.

The event for a change depends on whether the selectors match before and after it, as in the apiserver's watch cache:

===============  ==============  ==============================================================
before: matches  after: matches  event
===============  ==============  ==============================================================
no               yes             ADDED
yes              yes             MODIFIED
yes              no              DELETED, with the object as it last matched, at the new revision
no               no              none
===============  ==============  ==============================================================
"""

from __future__ import annotations

from typing import Final

from kubemr.local.apiserver.errors import expired
from kubemr.local.apiserver.selectors import Predicate, everything
from kubemr.local.apiserver.store import Change, Collection, CompactedError, Store
from kubemr.locks.effects import Json

INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class Subscription:
    """A watch.  `poll` returns the events since the last call; it never waits.

    `closed` becomes True after an ERROR event, which is the last one.
    """

    def __init__(
        self,
        store: Store,
        collection: Collection,
        namespace: str | None,
        matches: Predicate,
        type_meta: Json,
        position: int,
        initial: list[Json],
    ) -> None:
        self._store: Final = store
        self._collection: Final = collection
        self._prefix: Final = f"{namespace}/" if namespace else ""
        self._matches: Final = matches
        self._all: Final = matches is everything
        self._type_meta: Final = type_meta
        self._position = position
        self._initial = initial
        self.closed = False
        self.started = 0
        """The revision from which it was asked for; 0 when it began with the present objects."""

    def poll(self) -> list[Json]:
        """Return the new events: `{"type": ..., "object": ...}`.  Their objects are shared and must not be changed."""
        events, self._initial = self._initial, []
        if self.closed:
            return events
        try:
            changes = self._store.changes(self._collection, self._position)
        except CompactedError as gone:
            self.closed = True
            message = f"too old resource version: {gone.revision} ({gone.oldest})"
            return [*events, {"type": "ERROR", "object": expired(message).body}]
        self._position += len(changes)
        for change in changes:
            if change.key.startswith(self._prefix):
                event = self._event(change)
                if event is not None:
                    events.append(event)
        return events

    def refuse(self, status: Json) -> Subscription:
        """Make this a watch that delivers one ERROR event and ends: the server rejects it inside the stream."""
        self._initial, self.closed = [{"type": "ERROR", "object": status}], True
        return self

    def _event(self, change: Change) -> Json | None:
        before = change.old is not None and (self._all or self._matches(change.old))
        after = change.new is not None and (self._all or self._matches(change.new))
        if after:
            return {"type": "MODIFIED" if before else "ADDED", "object": change.new}
        if not before:
            return None
        if change.new is None:
            return {"type": "DELETED", "object": change.last}
        old: Json = change.old
        metadata = {**old["metadata"], "resourceVersion": str(change.revision)}
        return {"type": "DELETED", "object": {**old, "metadata": metadata}}

    def bookmark(self, initial_events_end: bool = False) -> Json:
        """Return a BOOKMARK event: everything up to its resourceVersion has been delivered (call `poll` first)."""
        metadata: Json = {"resourceVersion": str(self._store.revision)}
        if initial_events_end:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        return {"type": "BOOKMARK", "object": {**self._type_meta, "metadata": metadata}}
