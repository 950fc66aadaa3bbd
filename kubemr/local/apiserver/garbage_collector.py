"""Run the garbage collector and the namespace controller as one explicit step.

In a cluster they are part of kube-controller-manager and run on their own.  Here `collect` runs until there is nothing
left to do:

- An object is deleted if all its owners are gone, or only wait for its deletion.  If some owners remain, the others are
  removed from its `ownerReferences`.
- An owner with the finalizer `orphan` is removed from its dependents, then it loses the finalizer.
- An owner with `foregroundDeletion` loses it when no dependent with `blockOwnerDeletion` is left.
- A terminating namespace is emptied, then removed.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubemr.local.apiserver.delete import FOREGROUND, ORPHAN, delete_object
from kubemr.local.apiserver.kinds import Kind
from kubemr.local.apiserver.options import DeleteOptions
from kubemr.local.apiserver.state import NAMESPACES, State
from kubemr.locks.effects import Json


def collect(state: State) -> int:
    """Run until nothing changes, and return the number of writes."""
    start = state.store.revision
    while True:
        before = state.store.revision
        _collect_dependents(state)
        _finish_owners(state)
        _empty_namespaces(state)
        if state.store.revision == before:
            return before - start


def _objects(state: State) -> Iterator[tuple[Kind, Json]]:
    for collection in state.store.collections():
        kind = state.by_collection.get(collection)
        if kind is not None:
            for obj in list(state.store.values(collection)):
                yield kind, obj


def _waits_for_dependents(owner: Json) -> bool:
    metadata = owner["metadata"]
    return bool(metadata.get("deletionTimestamp")) and FOREGROUND in (metadata.get("finalizers") or ())


def _collect_dependents(state: State) -> None:
    everything = list(_objects(state))
    by_uid = {obj["metadata"]["uid"]: obj for _, obj in everything}
    for kind, obj in everything:
        references = obj["metadata"].get("ownerReferences")
        if not references or state.store.get(kind.collection, state.key(obj)) is not obj:
            continue
        remaining = [
            r for r in references if (owner := by_uid.get(r["uid"])) is not None and not _waits_for_dependents(owner)
        ]
        waiting = any(r["uid"] in by_uid for r in references) and not remaining
        if len(remaining) == len(references):
            continue
        if remaining:
            _set_metadata_list(state, kind, obj, "ownerReferences", remaining)
        elif not obj["metadata"].get("deletionTimestamp"):
            has_dependents = waiting and _has_blocking_dependents(everything, obj["metadata"]["uid"])
            policy = "Foreground" if has_dependents else "Background"
            if ORPHAN in (obj["metadata"].get("finalizers") or ()):
                policy = "Orphan"
            delete_object(state, kind, obj, DeleteOptions(policy, grace=None))


def _has_blocking_dependents(everything: list[tuple[Kind, Json]], uid: str) -> bool:
    return any(
        reference["uid"] == uid and reference.get("blockOwnerDeletion")
        for _, obj in everything
        for reference in obj["metadata"].get("ownerReferences") or ()
    )


def _finish_owners(state: State) -> None:
    everything = list(_objects(state))
    for kind, obj in everything:
        metadata = obj["metadata"]
        finalizers = metadata.get("finalizers") or []
        if not metadata.get("deletionTimestamp") or not finalizers:
            continue
        if ORPHAN in finalizers:
            _remove_references(state, metadata["uid"])
            _set_metadata_list(state, kind, obj, "finalizers", [f for f in finalizers if f != ORPHAN])
        elif FOREGROUND in finalizers and not _has_blocking_dependents(everything, metadata["uid"]):
            _set_metadata_list(state, kind, obj, "finalizers", [f for f in finalizers if f != FOREGROUND])


def _remove_references(state: State, uid: str) -> None:
    for kind, obj in _objects(state):
        references = obj["metadata"].get("ownerReferences") or []
        kept = [reference for reference in references if reference["uid"] != uid]
        if len(kept) != len(references):
            _set_metadata_list(state, kind, obj, "ownerReferences", kept)


def _set_metadata_list(state: State, kind: Kind, obj: Json, key: str, value: list[Json]) -> None:
    """Write a list of the metadata.  An object under deletion is removed if it has no finalizers left."""
    metadata = {**obj["metadata"], key: value}
    if not value:
        del metadata[key]
    unfinished = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
    if key == "finalizers" and metadata.get("deletionTimestamp") and not unfinished:
        state.remove(kind, obj)
    else:
        state.put(kind, {**obj, "metadata": metadata})


def _empty_namespaces(state: State) -> None:
    terminating = [n for n in state.store.values(NAMESPACES) if n["metadata"].get("deletionTimestamp")]
    for namespace in terminating:
        name = namespace["metadata"]["name"]
        contents = [(kind, obj) for kind, obj in _objects(state) if obj["metadata"].get("namespace") == name]
        for kind, obj in contents:
            if not obj["metadata"].get("deletionTimestamp"):
                delete_object(state, kind, obj, DeleteOptions("Background"))
        if not contents:
            state.remove(state.by_collection[NAMESPACES], namespace)
