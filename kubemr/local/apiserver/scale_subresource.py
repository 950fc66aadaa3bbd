"""The scale subresource of a custom kind: one number inside the object, shown as an `autoscaling/v1` Scale."""

from __future__ import annotations

from kubemr.local.apiserver import errors
from kubemr.local.apiserver.errors import Cause
from kubemr.local.apiserver.kinds import Kind
from kubemr.local.apiserver.state import State
from kubemr.local.apiserver.update import patch_function, replace
from kubemr.locks.effects import Answer, Json, Request

_COPIED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def _path(text: str) -> list[str]:
    return text.removeprefix(".").split(".")


def _at(obj: Json, text: str) -> Json:
    at = obj
    for part in _path(text):
        at = at.get(part) if isinstance(at, dict) else None
    return at


def _scale(kind: Kind, obj: Json, strict: bool) -> Json:
    path = (kind.scale or {})["specReplicasPath"]
    replicas = _at(obj, path)
    if replicas is None and strict:
        raise errors.internal_error(f'the spec replicas field "{path}" does not exist')
    status: Json = {"replicas": _at(obj, kind.scale["statusReplicasPath"]) or 0}
    selector = kind.scale.get("labelSelectorPath")
    if selector and _at(obj, selector):
        status["selector"] = _at(obj, selector)
    metadata = {key: obj["metadata"][key] for key in _COPIED if key in obj["metadata"]}
    spec = {"replicas": replicas} if replicas else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def read(state: State, kind: Kind, request: Request) -> Answer:
    """Answer a GET of the scale."""
    return Answer(200, _scale(kind, state.existing(kind, request.namespace, request.name or ""), strict=True))


def write(state: State, kind: Kind, request: Request) -> Answer:
    """Answer a PUT or PATCH of the scale: write that number and nothing else."""
    old = state.existing(kind, request.namespace, request.name or "")
    before = _scale(kind, old, strict=False)
    after = request.body if request.verb == "replace" else patch_function(request)(before)
    wanted = (after.get("spec") or {}).get("replicas", 0)
    if not isinstance(wanted, int) or isinstance(wanted, bool):
        raise errors.bad_request(f"spec.replicas: Invalid value: {wanted!r}: must be an integer")
    given = (after.get("metadata") or {}).get("resourceVersion")
    if given and given != old["metadata"]["resourceVersion"]:
        raise errors.conflict(kind.group, kind.plural, request.name or "", errors.MODIFIED)
    path = _path((kind.scale or {})["specReplicasPath"])
    if wanted < 0:
        why, where = f"Invalid value: {wanted}: should be a non-negative integer", "." + ".".join(path)
        raise errors.invalid(kind.group, kind.name, request.name or "", [Cause("FieldValueInvalid", why, where)])
    changed = {**old, "metadata": dict(old["metadata"])}
    at = changed
    for part in path[:-1]:
        at[part] = {**at.get(part, {})}
        at = at[part]
    at[path[-1]] = wanted
    inner = Request("replace", kind.resource, request.namespace, request.name, query=request.query, body=changed)
    return Answer(200, _scale(kind, replace(state, kind, inner).body, strict=False))
