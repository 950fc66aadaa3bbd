"""A case: requests, written once, that both servers are asked in turn.

In paths and bodies, `{ns}` is the case's own namespace and `{cm}`, `{widgets}`, … are collections in it (`PATHS`).
`save="a"` on a step keeps what it answered under that name, and later steps may then say `{a.uid}`, `{a.rv}`,
`{a.name}` or, for a list, `{a.continue}`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
JSON = "application/json"

PATHS = {
    "cm": "/api/v1/namespaces/{ns}/configmaps",
    "secrets": "/api/v1/namespaces/{ns}/secrets",
    "pods": "/api/v1/namespaces/{ns}/pods",
    "events": "/api/v1/namespaces/{ns}/events",
    "accounts": "/api/v1/namespaces/{ns}/serviceaccounts",
    "roles": "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles",
    "bindings": "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases",
    "jobs": "/apis/batch/v1/namespaces/{ns}/jobs",
    "widgets": "/apis/differential.kubemr.dev/v1/namespaces/{ns}/widgets",
    "gadgets": "/apis/differential.kubemr.dev/v1/namespaces/{ns}/gadgets",
    "mrj": "/apis/turbobytes.com/v1alpha1/namespaces/{ns}/mapreducejobs",
    "mrts": "/apis/turbobytes.com/v1alpha1/namespaces/{ns}/mapreducetaskshards",
}


@dataclass(frozen=True)
class Step:
    """One exchange; `watch` reads a stream to its end.  A `bytes` body is sent as it is."""

    method: str
    path: str
    body: Any = None
    content_type: str = JSON
    save: str = ""
    watch: bool = False


@dataclass(frozen=True)
class Case:
    """What is asked, and in words, why."""

    name: str
    steps: tuple[Step, ...] = field(default=())


def case(name: str, *steps: Step) -> Case:
    """A case."""
    return Case(name, steps)


def get(path: str, save: str = "") -> Step:
    """A GET."""
    return Step("GET", path, save=save)


def post(path: str, body: Any, save: str = "", content_type: str = JSON) -> Step:
    """A POST."""
    return Step("POST", path, body, content_type, save)


def put(path: str, body: Any, save: str = "") -> Step:
    """A PUT."""
    return Step("PUT", path, body, save=save)


def patch(path: str, *operations: Any, save: str = "") -> Step:
    """A JSON Patch of these operations."""
    return Step("PATCH", path, list(operations), JSON_PATCH, save)


def raw_patch(path: str, body: bytes, content_type: str = JSON_PATCH) -> Step:
    """A patch with this very body."""
    return Step("PATCH", path, body, content_type)


def merge(path: str, body: Any, save: str = "") -> Step:
    """A JSON Merge Patch."""
    return Step("PATCH", path, body, MERGE_PATCH, save)


def delete(path: str, body: Any = None) -> Step:
    """A DELETE, with DeleteOptions."""
    return Step("DELETE", path, body)


def watch(path: str) -> Step:
    """A watch to its end; give it a `timeoutSeconds`."""
    return Step("GET", path, watch=True)


def op(name: str, path: str, *value: Any, **more: Any) -> dict[str, Any]:
    """One operation of a JSON Patch; the value is optional because null is a value."""
    return {"op": name, "path": path, **({"value": value[0]} if value else {}), **more}


def config_map(name: str, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A ConfigMap; `more` goes to the top level, `metadata` is merged."""
    return _object("v1", "ConfigMap", name, labels, more)


def widget(name: str, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A custom object with a schema, a status and a scale."""
    return _object("differential.kubemr.dev/v1", "Widget", name, labels, {"spec": {}, **more})


def gadget(name: str, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A custom object without any schema or subresource."""
    return _object("differential.kubemr.dev/v1", "Gadget", name, labels, more)


def _object(version: str, kind: str, name: str, labels: dict[str, str] | None, more: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        **({"name": name} if name else {}),
        **({"labels": labels} if labels else {}),
        **more.pop("metadata", {}),
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}
