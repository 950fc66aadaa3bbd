"""Show objects as a `Table`, for `kubectl get`: by the printer columns of the kind, or by name and age."""

from __future__ import annotations

import datetime
import re

from kubemr.local.apiserver.core import ApiServer
from kubemr.locks.effects import Json

_NAME: Json = {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
_AGE: Json = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
_BUILTIN: dict[str, tuple[Json, ...]] = {
    "Namespace": ({"name": "Status", "type": "string", "jsonPath": ".status.phase"}, _AGE),
    "Pod": ({"name": "Status", "type": "string", "jsonPath": ".status.phase"}, _AGE),
    "Job": ({"name": "Completions", "type": "integer", "jsonPath": ".spec.completions"}, _AGE),
    "Lease": ({"name": "Holder", "type": "string", "jsonPath": ".spec.holderIdentity"}, _AGE),
    "Secret": ({"name": "Type", "type": "string", "jsonPath": ".type"}, _AGE),
}
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\?\(@\.(\w+)\s*==\s*['\"]([^'\"]*)['\"]\))\]")


def as_table(server: ApiServer, body: Json) -> Json:
    """Return the Table of a list or of one object; return anything else (e.g. a `Status`) as it is."""
    if body.get("kind") in ("Status", "Table", "Scale"):
        return body
    group, _, version = body.get("apiVersion", "").rpartition("/")
    items = body.get("items")
    name = body["kind"] if items is None else body["kind"].removesuffix("List")
    kind = next((k for k in server.kinds if (k.group, k.resource.version, k.name) == (group, version, name)), None)
    columns = (kind.columns if kind is not None and kind.custom else _BUILTIN.get(name)) or (_AGE,)
    meta = body.get("metadata", {})
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {key: meta[key] for key in ("resourceVersion", "continue", "remainingItemCount") if key in meta},
        "columnDefinitions": [_NAME, *map(_definition, columns)],
        "rows": [_row(obj, columns) for obj in ([body] if items is None else items)],
    }


def _definition(column: Json) -> Json:
    kind = "string" if column["type"] == "date" else column["type"]
    described = {"description": column.get("description", ""), "format": column.get("format", "")}
    return {"name": column["name"], "type": kind, **described, "priority": column.get("priority", 0)}


def _row(obj: Json, columns: tuple[Json, ...]) -> Json:
    metadata = obj["metadata"]
    cells = [metadata.get("name"), *(_cell(obj, column) for column in columns)]
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return {"cells": cells, "object": partial}


def _cell(obj: Json, column: Json) -> Json:
    at = obj
    for found in _STEP.finditer(column["jsonPath"]):
        member, index, key, wanted = found.groups()
        if member is not None:
            at = at.get(member) if isinstance(at, dict) else None
        elif not isinstance(at, list):
            return None
        elif key is not None:
            at = next((item for item in at if isinstance(item, dict) and item.get(key) == wanted), None)
        else:
            at = at[int(index)] if int(index) < len(at) else None
    if at is None or column["type"] != "date":
        return at if not isinstance(at, dict | list) else str(at)
    return _age(at)


def _age(text: str) -> str:
    """Return the time since a timestamp as kubectl writes it: 45s, 12m, 3h, 9d."""
    then = datetime.datetime.fromisoformat(text)
    seconds = int((datetime.datetime.now(datetime.UTC) - then).total_seconds())
    for unit, size, up_to in (("s", 1, 120), ("m", 60, 180 * 60), ("h", 3600, 48 * 3600)):
        if seconds < up_to:
            return f"{max(seconds, 0) // size}{unit}"
    return f"{seconds // 86400}d"
