"""List and watch collections: selectors, pages, resource versions.

===============================  ===============================================================
`resourceVersion` of a list      answered from
===============================  ===============================================================
none                             the newest state
`0`, or N (`NotOlderThan`)       any state that is new enough: here the newest (the simulation asks
                                 for older ones by `stale_list`); 504 if N is in the future
N with `Exact`, a continue token exactly N; 410 if the history no longer contains it
===============================  ===============================================================
"""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping

from attr import frozen

from kubemr.local.apiserver import errors, options
from kubemr.local.apiserver.kinds import Kind
from kubemr.local.apiserver.selectors import Predicate, everything, field_predicate, label_predicate
from kubemr.local.apiserver.state import State
from kubemr.local.apiserver.store import CompactedError, Key
from kubemr.local.apiserver.watch import Subscription
from kubemr.locks.effects import Answer, Json

CONTINUE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
LIST_TOO_OLD = "The resourceVersion for the provided list is too old."


def predicate(kind: Kind, labels: str, fields: str) -> Predicate:
    """Combine both selectors into one predicate."""
    by_label = label_predicate(labels)
    by_field = field_predicate(fields, kind.fields, kind.name, kind.custom)
    if by_field is everything:
        return by_label
    if by_label is everything:
        return by_field
    return lambda obj: by_label(obj) and by_field(obj)


@frozen
class _Page:
    """The position of a continued list: at revision `revision`, after the key `start` (relative to the list)."""

    revision: int
    start: str

    @classmethod
    def decode(cls, token: str) -> _Page:
        """Decode a continue token."""
        try:
            text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            raise errors.bad_request("invalid continue token: continue key is not valid: illegal base64 data") from None
        try:
            fields = json.loads(text)
            return cls(int(fields["rv"]), fields["start"].strip("/\0"))
        except (ValueError, KeyError, TypeError):
            shown = text[:1]
            why = f"invalid character '{shown}' looking for beginning of value"
            raise errors.bad_request(f"invalid continue token: continue key is not valid: {why}") from None

    def encode(self) -> str:
        """Return a continue token."""
        fields = {"v": "meta.k8s.io/v1", "rv": self.revision, "start": f"/{self.start}\0"}
        text = json.dumps(fields, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def list_objects(state: State, kind: Kind, namespace: str | None, query: Mapping[str, str]) -> Answer:
    """Answer a list request."""
    matches = predicate(kind, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    options.check_list_query(query, watch=False)
    limit, token, text = options.number(query, "limit"), query.get("continue", ""), query.get("resourceVersion", "")
    requested = options.resource_version(text)
    store = state.store
    if token:
        page = _Page.decode(token)
        if text not in ("", "0"):
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        if page.revision <= 0:
            return _page(state, kind, namespace, matches, limit, store.revision, page.start)
        try:
            return _page(state, kind, namespace, matches, limit, page.revision, page.start)
        except CompactedError:
            raise errors.expired(CONTINUE_TOO_OLD, _Page(-1, page.start).encode()) from None
    if requested is not None and requested > store.revision:
        raise errors.too_new(requested, store.revision)
    if query.get("resourceVersionMatch") == "Exact" and requested:
        try:
            return _page(state, kind, namespace, matches, limit, requested, "")
        except CompactedError:
            raise errors.expired(LIST_TOO_OLD) from None
    return _page(state, kind, namespace, matches, 0 if text == "0" else limit, store.revision, "")


def list_at(state: State, kind: Kind, namespace: str | None, query: Mapping[str, str], revision: int) -> Answer:
    """Answer a list as a lagging watch cache would: from the state at `revision`."""
    matches = predicate(kind, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    try:
        return _page(state, kind, namespace, matches, 0, revision, "")
    except CompactedError:
        raise errors.expired(LIST_TOO_OLD) from None


def _page(
    state: State, kind: Kind, namespace: str | None, matches: Predicate, limit: int, revision: int, start: str
) -> Answer:
    store = state.store
    prefix = f"{namespace}/" if namespace else ""
    after = Key(prefix + start if namespace or kind.resource.namespaced else f"/{start}")
    candidates: list[tuple[Key, Json]]
    if revision == store.revision:
        keys = store.keys(kind.collection)
        low = bisect_right(keys, after) if start else bisect_left(keys, prefix)
        high = bisect_left(keys, prefix[:-1] + "0") if namespace else len(keys)  # "0" follows "/" in ASCII
        candidates = [(key, store.get(kind.collection, key)) for key in keys[low:high]]
    else:
        was = store.at_revision(kind.collection, revision)
        candidates = [(key, obj) for key, obj in was.items() if key.startswith(prefix) and not (start and key <= after)]
    items: list[Json] = []
    more = last = ""
    seen = 0
    for key, obj in candidates:
        seen += 1
        if matches is everything or matches(obj):
            if limit > 0 and len(items) == limit:
                more = last
                break
            items.append(obj)
            last = key.removeprefix(prefix).removeprefix("/")
    metadata: Json = {"resourceVersion": str(revision)}
    if more:
        metadata["continue"] = _Page(revision, more).encode()
        if matches is everything:
            metadata["remainingItemCount"] = len(candidates) - seen + 1
    elif kind.custom:
        metadata["continue"] = ""
    if not kind.custom:
        items = [_without_type(obj) for obj in items]
    body = {"kind": kind.list_name, "apiVersion": kind.api_version, "metadata": metadata, "items": items}
    return Answer(200, body)


def _without_type(obj: Json) -> Json:
    """Remove the type of an item, which lists of built-in kinds leave out."""
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


def subscribe(
    state: State,
    kind: Kind,
    namespace: str | None,
    version: str,
    labels: str,
    fields: str,
    bookmarks: bool,
    initial_events: bool | None,
) -> Subscription:
    """Open a watch.  Raises an `ApiError` if the request itself is rejected."""
    matches = predicate(kind, labels, fields)
    store = state.store
    requested = options.resource_version(version, watch=True)
    collection = kind.collection
    if requested and initial_events is not True:
        try:
            position = store.position_after(collection, requested)
        except CompactedError as gone:
            body = errors.expired(f"too old resource version: {requested} ({gone.oldest})").body
            refused = Subscription(store, collection, namespace, matches, kind.type_meta, 0, [])
            return refused.refuse(body)
        resumed = Subscription(store, collection, namespace, matches, kind.type_meta, position, [])
        resumed.started = requested
        return resumed
    position = store.position_after(collection, store.revision)
    initial: list[Json] = []
    if initial_events is not False:
        prefix = f"{namespace}/" if namespace else ""
        for key in store.keys(collection):
            obj = store.get(collection, key)
            if key.startswith(prefix) and matches(obj):
                initial.append({"type": "ADDED", "object": obj})
    subscription = Subscription(store, collection, namespace, matches, kind.type_meta, position, initial)
    if initial_events and bookmarks:
        initial.append(subscription.bookmark(initial_events_end=True))
    return subscription
