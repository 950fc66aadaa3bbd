"""The custom resources of the cases."""

from __future__ import annotations

from typing import Any

from kubemr.local.apiserver.kubemr_server import definitions as kubemr_definitions

GROUP = "differential.kubemr.dev"

_SPEC: dict[str, Any] = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "minimum": 0, "default": 3},
        "replicas": {"type": "integer"},
        "name": {"type": "string", "maxLength": 10, "pattern": "^[a-z]*$"},
        "text": {"type": "string"},
        "ratio": {"type": "number"},
        "flag": {"type": "boolean"},
        "maybe": {"type": "string", "nullable": True},
        "mode": {"type": "string", "enum": ["Fast", "Slow"], "default": "Fast"},
        "list": {"type": "array", "maxItems": 4, "items": {"type": "string"}},
        "deep": {
            "type": "object",
            "required": ["key"],
            "properties": {"key": {"type": "string"}, "more": {"type": "integer", "default": 1}},
        },
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "port": {"x-kubernetes-int-or-string": True},
    },
}
_WIDGET: dict[str, Any] = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "lockholder": {"type": "string"},
        "tasks": {
            "type": "object",
            "maxProperties": 512,
            "x-kubernetes-map-type": "atomic",
            "additionalProperties": {"type": "string", "maxLength": 64},
        },
        "spec": _SPEC,
        "status": {
            "type": "object",
            "properties": {"phase": {"type": "string", "enum": ["A", "B"]}, "replicas": {"type": "integer"}},
        },
    },
}


def _definition(kind: str, schema: dict[str, Any], subresources: dict[str, Any]) -> dict[str, Any]:
    plural = kind.lower() + "s"
    version: dict[str, Any] = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    if subresources:
        version["subresources"] = subresources
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [version],
        },
    }


def all_definitions() -> list[dict[str, Any]]:
    """Widgets (schema, status, scale), gadgets (neither), and kubemr's own."""
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    return [
        _definition("Widget", _WIDGET, {"status": {}, "scale": scale}),
        _definition("Gadget", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}, {}),
        *kubemr_definitions(),
    ]
