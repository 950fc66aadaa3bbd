"""JSON → object → JSON changes nothing but the defaults, for anything that the schema allows."""

from __future__ import annotations

import string
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubemr.resources import MapReduceJob, MapReduceTaskShard, ParseError, parse, schema, to_json, with_defaults
from kubemr.resources.json_types import Json, Schema
from kubemr.resources.structural_schema import apply_defaults, check, compile_pattern, prune
from support.jobs import EXAMPLES, example


def values(node: Schema) -> st.SearchStrategy[Any]:
    """Documents that a structural schema allows (CEL rules aside)."""
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return st.integers(0, 2**40) | st.from_regex(compile_pattern(node["pattern"])).filter(lambda s: len(s) <= 32)
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return st.dictionaries(st.sampled_from("abc"), st.integers() | st.lists(st.text(max_size=3)), max_size=2)
    kind = node["type"]
    if kind == "string":
        return _strings(node)
    if kind == "integer":
        return st.integers(node["minimum"], node["maximum"])
    if kind == "boolean":
        return st.booleans()
    if kind == "array":
        return st.lists(
            values(node["items"]),
            min_size=node.get("minItems", 0),
            max_size=3,
            unique_by=_identity(node) if "x-kubernetes-list-map-keys" in node else None,
        )
    if "additionalProperties" in node:
        keys = st.text(string.digits, min_size=1, max_size=3)
        return st.dictionaries(
            keys, values(node["additionalProperties"]), min_size=node.get("minProperties", 0), max_size=3
        )
    if "properties" in node:
        return _objects(node)
    return st.just({"name": "x"})


def _strings(node: Schema) -> st.SearchStrategy[str]:
    shortest, longest = node.get("minLength", 0), node.get("maxLength", 8)
    if node.get("format") == "date-time":
        return st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat() + "Z")
    if "pattern" in node:
        return st.from_regex(compile_pattern(node["pattern"])).filter(lambda s: shortest <= len(s) <= longest)
    return st.text(min_size=shortest, max_size=min(longest, 8))


def _identity(node: Schema) -> Any:
    keys = node["x-kubernetes-list-map-keys"]
    return lambda item: tuple(item[key] for key in keys)


def _objects(node: Schema) -> st.SearchStrategy[Json]:
    required = set(node.get("required", ()))
    of_members = {key: values(child) for key, child in node["properties"].items() if key not in ("apiVersion", "kind")}
    return st.fixed_dictionaries(
        {key: strategy for key, strategy in of_members.items() if key in required},
        optional={key: strategy for key, strategy in of_members.items() if key not in required},
    )


relaxed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@relaxed
@given(values(schema("MapReduceJob")))
def test_any_job(document: Json) -> None:
    """A job that the schema allows is parsed, written and parsed again to the same; defaults are the schema's."""
    document = {"apiVersion": "turbobytes.com/v1alpha1", "kind": "MapReduceJob", **document}
    assert check(document, schema("MapReduceJob")) == []
    job = parse(MapReduceJob, document)
    assert to_json(job) == with_defaults(document)
    assert parse(MapReduceJob, to_json(job)) == job


@relaxed
@given(values(schema("MapReduceTaskShard")))
def test_any_shard(document: Json) -> None:
    """The same for shards, which have no defaults."""
    document = {"apiVersion": "turbobytes.com/v1alpha1", "kind": "MapReduceTaskShard", **document}
    assert check(document, schema("MapReduceTaskShard")) == []
    assert to_json(parse(MapReduceTaskShard, document)) == document


@relaxed
@given(values(schema("MapReduceJob")))
def test_pruning_and_defaults_are_idempotent(document: Json) -> None:
    """Nothing that the schema knows is pruned, and a second round of defaults changes nothing."""
    assert prune(document, schema("MapReduceJob")) == []
    apply_defaults(document, schema("MapReduceJob"))
    once = with_defaults(document)
    assert with_defaults(once) == once == document


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str) -> None:
    """Every form of the API becomes an object and comes back with the defaults."""
    job = parse(MapReduceJob, example(name))
    assert to_json(job) == with_defaults(example(name))


def test_objects_are_values() -> None:
    """They compare by content, and a changed copy is another value."""
    job = parse(MapReduceJob, example("seed"))
    assert job.spec.replicas == 10
    assert job.spec.max_attempts == 4
    assert job.spec.storage.retention_policy == "Results"
    assert evolve(job, spec=evolve(job.spec, replicas=3)) != job


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"replicas": "3"}, "spec.replicas"),
        ({"replicas": True}, "spec.replicas"),
        ({"suspend": 1}, "spec.suspend"),
        ({"inputs": "a"}, "spec.inputs"),
        ({"inputs": [1]}, "spec.inputs[0]"),
        ({"jobargs": {"a": 1}}, "spec.jobargs.a"),
        ({"storage": {"retentionPolicy": "Some"}}, "spec.storage.retentionPolicy"),
        ({"storage": {"s3": {}}}, "spec.storage.s3.bucket"),
        ({"storage": "s3"}, "spec.storage"),
        ({"replica": 3}, "spec.replica"),
    ],
)
def test_what_does_not_fit_is_named(spec: Json, path: str) -> None:
    """`parse` stops at the first thing that does not fit, by its path."""
    with pytest.raises(ParseError) as caught:
        parse(MapReduceJob, {"spec": spec})
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")


def test_no_object_at_all() -> None:
    """The document itself may be wrong."""
    with pytest.raises(ParseError, match="the document: must be an object"):
        parse(MapReduceJob, [])
