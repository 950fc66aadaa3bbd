"""Create an object: decode, admit, default, check, store.  The order of rejections is that of the real server."""

from __future__ import annotations

from collections.abc import Mapping

from kubemr.local.apiserver import errors, options
from kubemr.local.apiserver.errors import Cause
from kubemr.local.apiserver.go_json import canonical, plain
from kubemr.local.apiserver.kinds import DecodeError, Kind
from kubemr.local.apiserver.metadata import check_metadata, check_metadata_change
from kubemr.local.apiserver.state import NAMESPACES, State
from kubemr.local.apiserver.store import Key
from kubemr.locks.effects import Answer, Json

_MAX_PREFIX = 58
_MAX_TRIES = 8
_STATUS_FIRST = ("uid", "creationTimestamp")


def decode_object(kind: Kind, body: Json, query: Mapping[str, str]) -> Json:
    """Decode a client's document into an object of the kind, with its own top level and metadata.

    Raises a 400 `ApiError` if the document is no such object.
    """
    if kind.custom:
        if not isinstance(body, dict) or not body.get("kind"):
            raise errors.bad_request(
                f"the object provided is unrecognized (must be of type {kind.name}): Object 'Kind' is missing"
            )
        version = body.get("apiVersion", "")
        if version != kind.api_version:
            raise errors.bad_request(
                f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
            )
        obj = {**body}
    else:
        obj = _decode_builtin(kind, body)
    if not canonical(obj):
        obj = plain(obj)
    try:
        dropped = kind.strategy.decode(obj)
    except DecodeError as problem:
        raise errors.bad_request(_cannot_handle(kind, str(problem))) from None
    if dropped and query.get("fieldValidation") == "Strict":
        listed = ", ".join(f'unknown field "{field}"' for field in dropped)
        text = f"strict decoding error: {listed}"
        raise errors.bad_request(_cannot_handle(kind, text))
    return obj


def _cannot_handle(kind: Kind, why: str, given: str = "") -> str:
    return f'{given or kind.name} in version "{kind.resource.version}" cannot be handled as a {kind.name}: {why}'


def _decode_builtin(kind: Kind, body: Json) -> Json:
    if not isinstance(body, dict):
        raise errors.bad_request(f"the object provided is unrecognized (must be of type {kind.name})")
    given = body.get("kind") or kind.name
    version = body.get("apiVersion") or kind.api_version
    if version != kind.api_version:
        short = version.rpartition("/")[2]
        why = f'no kind "{given}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        raise errors.bad_request(f'{given} in version "{short}" cannot be handled as a {kind.name}: {why}')
    if given != kind.name:
        why = f"converting (v1.{given}) to (core.{kind.name}): unknown conversion"
        raise errors.bad_request(_cannot_handle(kind, why, given))
    return {**body, "kind": kind.name, "apiVersion": kind.api_version}


def set_namespace(kind: Kind, namespace: str | None, metadata: Json) -> None:
    """Set an object's namespace to that of the URL."""
    wanted = namespace if kind.resource.namespaced else None
    if metadata.get("namespace") not in (None, wanted):
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if wanted:
        metadata["namespace"] = wanted


def check(kind: Kind, obj: Json, old: Json, subresource: str | None = None) -> None:
    """Raise an `ApiError` with every mistake at once.  `old` is None for a new object."""
    metadata = obj["metadata"]
    if obj["kind"] != kind.name:
        why = f'Invalid value: "{obj["kind"]}": must be {kind.name}'
        raise errors.invalid(
            kind.group, obj["kind"], metadata.get("name", ""), [Cause("FieldValueInvalid", why, "kind")]
        )
    if old is None:
        problems = [*check_metadata(metadata, kind), *kind.strategy.check(obj, old, subresource)]
    else:
        changes = check_metadata_change(metadata, old["metadata"], kind)
        problems = [*changes, *kind.strategy.check(obj, old, subresource)]
    if problems:
        raise errors.invalid(kind.group, kind.name, obj["metadata"].get("name", ""), problems)


def create(state: State, kind: Kind, namespace: str | None, body: Json, query: Mapping[str, str]) -> Answer:
    """Answer a create request."""
    obj = decode_object(kind, body, query)
    set_namespace(kind, namespace, obj["metadata"])
    return create_decoded(state, kind, obj, query)


def create_decoded(state: State, kind: Kind, obj: Json, query: Mapping[str, str]) -> Answer:
    """Create an object that is already decoded; a PUT that creates uses it, too."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    version = metadata.pop("resourceVersion", None)
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
        metadata.pop(key, None)
    prefix = metadata.get("generateName")
    generated = not metadata.get("name") and bool(prefix)
    if generated:
        metadata["name"] = _generate_name(state, kind, prefix, namespace)
    if kind.resource.namespaced:
        _admit(state, kind, namespace or "", metadata.get("name", ""))
    metadata["uid"], metadata["creationTimestamp"] = state.sources.uids(), state.now()
    if kind.generation:
        metadata["generation"] = 1
    kind.strategy.create(obj)
    check(kind, obj, None)
    if version and version != "0":
        raise errors.server_error("resourceVersion should not be set on objects to be created")
    existing = state.store.get(kind.collection, state.key(obj))
    if existing is not None:
        being_deleted = bool(existing["metadata"].get("deletionTimestamp"))
        raise errors.already_exists(kind.group, kind.plural, metadata["name"], being_deleted)
    return Answer(201, obj if options.dry_run(query) else state.put(kind, obj))


def _generate_name(state: State, kind: Kind, prefix: str, namespace: str | None) -> str:
    """Return a free name.  After several taken names, return a taken one, for which the create answers 409."""
    name = ""
    for _ in range(_MAX_TRIES):
        name = prefix[:_MAX_PREFIX] + state.sources.suffixes()
        if state.store.get(kind.collection, Key(f"{namespace or ''}/{name}")) is None:
            break
    return name


def _admit(state: State, kind: Kind, namespace: str, name: str) -> None:
    """Reject an object whose namespace does not exist or is terminating."""
    owner = state.store.get(NAMESPACES, Key(f"/{namespace}"))
    if owner is None:
        raise errors.not_found("", "namespaces", namespace)
    if owner["metadata"].get("deletionTimestamp"):
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        cause = Cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace")
        raise errors.forbidden(kind.group, kind.plural, name, why, [cause])
