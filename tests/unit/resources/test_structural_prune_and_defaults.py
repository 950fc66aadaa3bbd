"""`prune` and `apply_defaults` change a document as the apiserver does before it stores it."""

from __future__ import annotations

from kubemr.resources.structural_schema import apply_defaults, prune

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "default": 3},
                "mode": {"type": "string", "nullable": True, "default": "a"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "half": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}},
                },
                "list": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}},
                },
                "map": {
                    "type": "object",
                    "additionalProperties": {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}},
                },
                "filled": {"type": "array", "items": {"type": "string", "default": "x"}},
                "pod": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {"spec": {"type": "object"}},
                },
            },
        }
    },
}


def test_prune_removes_what_the_schema_does_not_name() -> None:
    """At any depth, in lists and maps too; it says where, sorted."""
    obj = {
        "apiVersion": "v1",
        "kind": "X",
        "metadata": {"anything": 1},
        "extra": 1,
        "spec": {"size": 1, "extra": 2, "list": [{"n": 1, "m": 2}, 3], "map": {"k": {"n": 1, "m": 2}}},
    }
    assert prune(obj, SCHEMA) == ["extra", "spec.extra", "spec.list[0].m", "spec.map.k.m"]
    assert obj == {
        "apiVersion": "v1",
        "kind": "X",
        "metadata": {"anything": 1},
        "spec": {"size": 1, "list": [{"n": 1}, 3], "map": {"k": {"n": 1}}},
    }


def test_prune_leaves_what_is_preserved() -> None:
    """Where unknown fields are preserved they stay, but what is known there is pruned inside."""
    obj = {"spec": {"free": {"a": {"b": [1]}}, "half": {"b": 1, "known": {"a": "x", "c": 1}}}}
    assert prune(obj, SCHEMA) == ["spec.half.known.c"]
    assert obj["spec"]["free"] == {"a": {"b": [1]}}


def test_prune_keeps_the_meta_fields_of_embedded_objects() -> None:
    """An embedded resource keeps apiVersion, kind and metadata."""
    obj = {"spec": {"pod": {"kind": "Pod", "metadata": {"a": 1}, "spec": {}, "x": 1}}}
    assert prune(obj, SCHEMA) == ["spec.pod.x"]


def test_prune_of_a_schema_that_preserves_all() -> None:
    """Nothing is removed."""
    obj = {"a": 1}
    assert prune(obj, {"type": "object", "x-kubernetes-preserve-unknown-fields": True}) == []
    assert obj == {"a": 1}


def test_defaults_fill_in_what_is_absent() -> None:
    """Also in items and in values of maps; an absent parent without a default stays absent."""
    obj = {"spec": {"list": [{}, {"n": 5}], "map": {"k": {}}}}
    apply_defaults(obj, SCHEMA)
    assert obj == {"spec": {"size": 3, "mode": "a", "list": [{"n": 1}, {"n": 5}], "map": {"k": {"n": 1}}}}
    empty: dict[str, object] = {}
    apply_defaults(empty, SCHEMA)
    assert empty == {}


def test_nulls() -> None:
    """A null becomes the default, stays where it is allowed, and goes where it is neither."""
    obj = {"spec": {"size": None, "mode": None, "map": None, "filled": [None, "y"], "unknown": None}}
    apply_defaults(obj, SCHEMA)
    assert obj == {"spec": {"size": 3, "mode": None, "filled": ["x", "y"], "unknown": None}}


def test_defaults_are_copies() -> None:
    """Changing an object does not change the schema's default."""
    schema = {"type": "object", "properties": {"a": {"type": "object", "default": {}}}}
    first: dict[str, dict[str, int]] = {}
    apply_defaults(first, schema)
    first["a"]["x"] = 1
    second: dict[str, dict[str, int]] = {}
    apply_defaults(second, schema)
    assert second == {"a": {}}
