"""Delete an object at once, or mark it by `deletionTimestamp` until its finalizers and its grace period are gone.

A propagation policy is a finalizer: `Foreground` adds `foregroundDeletion`, `Orphan` adds `orphan`, `Background`
removes both.  `garbage_collector` processes these finalizers.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubemr.local.apiserver import errors
from kubemr.local.apiserver.kinds import Kind
from kubemr.local.apiserver.lists import list_objects
from kubemr.local.apiserver.options import DeleteOptions, delete_options
from kubemr.local.apiserver.state import State
from kubemr.locks.effects import Answer, Json

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


def delete(state: State, kind: Kind, namespace: str | None, name: str, body: Json, query: Mapping[str, str]) -> Answer:
    """Answer a delete of one object."""
    options = delete_options(body, query)
    obj = state.existing(kind, namespace, name)
    _check_preconditions(kind, obj, options)
    gone, last = delete_object(state, kind, obj, options)
    if gone and not kind.returns_deleted:
        return Answer(200, _success_status(kind, obj))
    return Answer(200, last)


def delete_collection(state: State, kind: Kind, namespace: str | None, body: Json, query: Mapping[str, str]) -> Answer:
    """Answer a delete of all objects that a list would show.  The answer is that list, as it was before."""
    options = delete_options(body, query if body else _without_list(query))
    listed = list_objects(state, kind, namespace, query)
    for item in listed.body["items"]:
        key = state.key(item)
        obj = state.store.get(kind.collection, key)
        if obj is not None:
            delete_object(state, kind, obj, options)
    return listed


def _without_list(query: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in query.items() if key not in ("labelSelector", "fieldSelector", "limit")}


def _success_status(kind: Kind, obj: Json) -> Json:
    details = {"name": obj["metadata"]["name"], "group": kind.group, "kind": kind.plural, "uid": obj["metadata"]["uid"]}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }


def _check_preconditions(kind: Kind, obj: Json, options: DeleteOptions) -> None:
    metadata = obj["metadata"]
    name = metadata["name"]
    if options.uid is not None and options.uid != metadata["uid"]:
        why = f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata['uid']})."
        why += " The object might have been deleted and then recreated"
        raise errors.conflict(kind.group, kind.name, name, why)
    if options.version is not None and options.version != metadata["resourceVersion"]:
        why = f"the ResourceVersion in the precondition ({options.version}) does not match the ResourceVersion in"
        why += f" record ({metadata['resourceVersion']}). The object might have been modified"
        raise errors.conflict(kind.group, kind.name, name, why)


def _finalizers(kind: Kind, obj: Json, policy: str) -> list[str]:
    have: list[str] = obj["metadata"].get("finalizers") or []
    rest = [finalizer for finalizer in have if finalizer not in (FOREGROUND, ORPHAN)]
    if policy == "Foreground":
        return [*rest, FOREGROUND]
    if policy == "Orphan":
        return [*rest, ORPHAN]
    if policy == "Background":
        return rest
    if kind.orphans and FOREGROUND not in have and ORPHAN not in have:
        return [*rest, ORPHAN]
    return have


def _grace(kind: Kind, obj: Json, options: DeleteOptions) -> int:
    """Return the grace period of a pod in seconds: 0 unless it is on a node and has not ended."""
    if not kind.graceful:
        return 0
    spec, phase = obj.get("spec") or {}, (obj.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Failed", "Succeeded"):
        return 0
    if options.grace is not None:
        return max(options.grace, 0)
    grace = spec.get("terminationGracePeriodSeconds")
    return 30 if grace is None else int(grace)


def delete_object(state: State, kind: Kind, obj: Json, options: DeleteOptions) -> tuple[bool, Json]:
    """Delete or mark an object.  Return whether it is deleted, and its last or present state."""
    if kind.plural == "namespaces" and not kind.group:
        return False, _terminate(state, kind, obj, options)
    finalizers = _finalizers(kind, obj, options.policy)
    grace = _grace(kind, obj, options)
    marked = _mark_deleted(state, kind, obj, finalizers, grace)
    if finalizers or grace:
        if marked == obj or options.dry_run:
            return False, marked if options.dry_run else obj
        return False, state.put(kind, marked)
    if options.dry_run:
        return True, obj
    version = state.remove(kind, obj)["metadata"]["resourceVersion"]
    if kind.graceful:
        return True, {**marked, "metadata": {**marked["metadata"], "resourceVersion": version}}
    return True, {**obj, "metadata": {**obj["metadata"], "resourceVersion": version}}


def _mark_deleted(state: State, kind: Kind, obj: Json, finalizers: list[str], grace: int) -> Json:
    metadata = dict(obj["metadata"])
    if "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = state.now()
        metadata["deletionGracePeriodSeconds"] = grace
        if metadata.get("generation"):
            metadata["generation"] += 1
    elif grace < metadata.get("deletionGracePeriodSeconds", 0):
        metadata["deletionGracePeriodSeconds"] = grace
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    return {**obj, "metadata": metadata}


def _terminate(state: State, kind: Kind, obj: Json, options: DeleteOptions) -> Json:
    """Mark a namespace as Terminating; it stays until the garbage collector has emptied it."""
    if obj["metadata"].get("deletionTimestamp") or options.dry_run:
        return obj
    metadata = {**obj["metadata"], "deletionTimestamp": state.now()}
    return state.put(kind, {**obj, "metadata": metadata, "status": {**obj.get("status", {}), "phase": "Terminating"}})
