"""Every string, number, list and map of the schema is bounded: objects stay small and CEL's cost can be estimated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubemr.resources import schema
from kubemr.resources.definitions.objects import KINDS
from kubemr.resources.json_types import Schema
from kubemr.resources.structural_schema import KEYWORDS

_OPAQUE = ("metadata", "apiVersion", "kind")


def _nodes(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    yield path, node
    for key, child in node.get("properties", {}).items():
        if path or key not in _OPAQUE:
            yield from _nodes(child, f"{path}.{key}".lstrip("."))
    for keyword, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if keyword in node:
            yield from _nodes(node[keyword], path + mark)


NODES = [(f"{kind}:{path}", node) for kind in KINDS for path, node in _nodes(schema(kind))]


@pytest.mark.parametrize(("path", "node"), NODES, ids=[path for path, _ in NODES])
def test_bounded(path: str, node: Schema) -> None:
    """What has no natural end has a stated one."""
    kind = node.get("type")
    if node.get("x-kubernetes-int-or-string") or (kind == "string" and "enum" not in node):
        assert "maxLength" in node
    if kind == "integer":
        assert node["minimum"] <= node["maximum"]
    if kind == "array":
        assert "maxItems" in node
        assert "items" in node
    if "additionalProperties" in node:
        assert "maxProperties" in node
    assert set(node) <= KEYWORDS


@pytest.mark.parametrize(("path", "node"), NODES, ids=[path for path, _ in NODES])
def test_documented(path: str, node: Schema) -> None:
    """`kubectl explain` has a sentence for every field."""
    if not path.endswith(("[]", ".*", ":")):
        assert node["description"].rstrip().endswith(".")


def test_every_rule_says_what_to_do() -> None:
    """A rule's message is one line, names the mistake and the remedy."""
    rules = [rule for _, node in NODES for rule in node.get("x-kubernetes-validations", ())]
    assert len(rules) > 20
    for rule in rules:
        assert "; " in rule["message"]
        assert "\n" not in rule["message"]


def test_shards_have_no_rules() -> None:
    """CEL on what is patched thousands of times would cost on every patch."""
    assert not any("x-kubernetes-validations" in node for path, node in NODES if "Shard" in path)
    assert schema("MapReduceTaskShard")["properties"]["tasks"]["x-kubernetes-map-type"] == "atomic"
