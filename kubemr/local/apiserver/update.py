"""Replace and patch objects.

A patch is applied to the newest state, so it conflicts only if it contains a resourceVersion.  A write that changes
nothing stores nothing.  A write that empties the finalizers of an object under deletion removes the object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kubemr.local.apiserver import errors, jsonpatch, options
from kubemr.local.apiserver.create import check, create_decoded, decode_object, set_namespace
from kubemr.local.apiserver.errors import Cause
from kubemr.local.apiserver.go_json import canonical, plain, spell_str
from kubemr.local.apiserver.kinds import DecodeError, Kind
from kubemr.local.apiserver.state import State
from kubemr.locks.effects import JSON_PATCH, MERGE_PATCH, Answer, Json, Request
from kubemr.resources.go_format import marshal

_NOT_GENERATION_CONTENT: Final = frozenset(("metadata", "status", "apiVersion", "kind"))
_SET_BY_SERVER: Final = ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_ACCEPTED: Final = (JSON_PATCH, MERGE_PATCH, "application/apply-patch+yaml")


def replace(state: State, kind: Kind, request: Request) -> Answer:
    """Answer a PUT."""
    name = request.name or ""
    obj = decode_object(kind, request.body, request.query)
    _check_name(kind, obj["metadata"], name, request.namespace)
    old = state.store.get(kind.collection, state.key(obj))
    if old is None:
        if kind.create_on_update and request.subresource is None:
            return create_decoded(state, kind, obj, request.query)
        raise errors.not_found(kind.group, kind.plural, name)
    given, have = obj["metadata"].get("uid"), old["metadata"]["uid"]
    if given and given != have:
        key = "/".join(filter(None, (kind.group if kind.custom else "", kind.plural, request.namespace, name)))
        why = f"StorageError: invalid object, Code: 4, Key: /registry/{key}, ResourceVersion: 0, AdditionalErrorMsg: "
        why += f"Precondition failed: UID in precondition: {given}, UID in object meta: {have}"
        raise errors.conflict(kind.group, kind.plural, name, why)
    obj["metadata"]["uid"] = have
    return _write(state, kind, obj, old, request)


def patch_function(request: Request) -> Callable[[Json], Json]:
    """Return the request's patch as a function of documents.

    Raises an `ApiError`: 415 for a content type that is not a patch, 400 for a malformed patch.
    """
    kind = request.content_type.partition(";")[0].strip()
    body = request.body
    if kind == JSON_PATCH:
        operations = jsonpatch.check_patch(body)
        exact = all(canonical((operation or {}).get("value")) for operation in operations)

        def apply(document: Json) -> Json:
            patched = jsonpatch.apply(document, operations)
            return patched if exact else plain(patched)

        return apply
    if kind == MERGE_PATCH:
        jsonpatch.check_merge_patch(body)
        merge_body = body if canonical(body) else plain(body)
        return lambda document: jsonpatch.merge(document, merge_body)
    raise errors.unsupported_media_type(_ACCEPTED)


def patch(state: State, kind: Kind, request: Request) -> Answer:
    """Answer a PATCH."""
    change = patch_function(request)
    old = state.existing(kind, request.namespace, request.name or "")
    patched = change(old)
    if patched is old:
        return Answer(200, old)
    obj = _decode_patched(kind, patched, request.query)
    _check_name(kind, obj["metadata"], request.name or "", request.namespace)
    return _write(state, kind, obj, old, request)


def _decode_patched(kind: Kind, patched: Json, query: Mapping[str, str]) -> Json:
    if not isinstance(patched, dict):
        what = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        text = f"json: cannot unmarshal array into Go value of type {what}"
        raise _invalid_patch(patched, f"couldn't get version/kind; json parse error: {text}")
    obj = {**patched}
    if kind.custom and not obj.get("kind"):
        raise _invalid_patch(patched, f"Object 'Kind' is missing in '{marshal(patched)}'")
    try:
        dropped = kind.strategy.decode(obj)
    except DecodeError as problem:
        raise _invalid_patch(patched, str(problem)) from None
    if dropped and query.get("fieldValidation") == "Strict":
        raise _invalid_patch(
            patched, "strict decoding error: " + ", ".join(f'unknown field "{field}"' for field in dropped)
        )
    return obj


def _invalid_patch(patched: Json, why: str) -> Exception:
    shown = f"Invalid value: {spell_str(marshal(patched))}: {why}"
    return errors.invalid("", "", "", [Cause("FieldValueInvalid", shown, "patch")])


def _check_name(kind: Kind, metadata: Json, name: str, namespace: str | None) -> None:
    given = metadata.get("name")
    if not given:
        raise errors.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if given != name:
        raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    set_namespace(kind, namespace, metadata)


def _check_version(kind: Kind, metadata: Json, old: Json) -> None:
    given = metadata.get("resourceVersion") or "0"
    name = old["metadata"]["name"]
    if not (given.isascii() and given.isdigit()):
        raise errors.server_error(f"strconv.ParseUint: parsing {spell_str(given)}: invalid syntax")
    if given == "0":
        if not kind.unconditional_update:
            why = "Invalid value: 0: must be specified for an update"
            cause = Cause("FieldValueInvalid", why, "metadata.resourceVersion")
            raise errors.invalid(kind.group, kind.plural, name, [cause])
    elif given != old["metadata"]["resourceVersion"]:
        raise errors.conflict(kind.group, kind.plural, name, errors.MODIFIED)


def _write(state: State, kind: Kind, obj: Json, old: Json, request: Request) -> Answer:
    """Store `obj`.  Fields that a client cannot change are taken from `old`."""
    metadata, before = obj["metadata"], old["metadata"]
    _check_version(kind, metadata, old)
    for key in _SET_BY_SERVER:
        metadata.pop(key, None)
        if key in before:
            metadata[key] = before[key]
    metadata["resourceVersion"] = before["resourceVersion"]
    if "generateName" in before:
        metadata.setdefault("generateName", before["generateName"])
    if request.subresource == "status":
        obj = _status_only(kind, obj, old)
    elif kind.status:
        _replace_member(obj, old, "status")
    kind.strategy.update(obj, old)
    if kind.generation and not _equal(_generation_content(kind, obj), _generation_content(kind, old)):
        obj["metadata"]["generation"] = before.get("generation", 0) + 1
    check(kind, obj, old, request.subresource)
    if _equal(obj, old):
        return Answer(200, old)
    if options.dry_run(request.query):
        return Answer(200, obj)
    if (
        before.get("deletionTimestamp")
        and not obj["metadata"].get("finalizers")
        and not before.get("deletionGracePeriodSeconds")
    ):
        state.remove(kind, old)
        return Answer(200, obj)
    return Answer(200, state.put(kind, obj))


def _replace_member(obj: Json, old: Json, key: str) -> None:
    obj.pop(key, None)
    if key in old:
        obj[key] = old[key]


def _status_only(kind: Kind, obj: Json, old: Json) -> Json:
    """Return what a write to the status subresource may change: the status, and for built-in kinds the metadata."""
    kept = {**old, "metadata": dict(old["metadata"]) if kind.custom else obj["metadata"]}
    _replace_member(kept, obj, "status")
    return kept


def _generation_content(kind: Kind, obj: Json) -> Json:
    """Return the part of an object whose changes `metadata.generation` counts."""
    if not kind.custom:
        return obj.get("spec")
    leave_out = _NOT_GENERATION_CONTENT if kind.status else _NOT_GENERATION_CONTENT - {"status"}
    return {key: value for key, value in obj.items() if key not in leave_out}


def _equal(obj: Json, old: Json) -> bool:
    """Decide whether two documents are equal as JSON."""
    return bool(obj == old) and _equal_types(obj, old)


def _equal_types(obj: Json, old: Json) -> bool:
    """Compare the types of equal documents: in Python `1 == True == 1.0`, in JSON not."""
    if obj is old:
        return True
    if isinstance(obj, dict):
        return all(_equal_types(value, old[key]) for key, value in obj.items())
    if isinstance(obj, list):
        return all(map(_equal_types, obj, old))
    return isinstance(obj, bool) == isinstance(old, bool)
