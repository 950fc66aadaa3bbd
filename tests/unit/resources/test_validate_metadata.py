"""A job's metadata obeys the rules of Kubernetes; what it breaks is named."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kubemr.resources import validate
from kubemr.resources.metadata import set_by_server
from support.jobs import EXAMPLES, example


def _job(metadata: Any, **spec: Any) -> Any:
    job = example("seed")
    job["metadata"] = metadata
    job["spec"].update(spec)
    return job


@pytest.mark.parametrize(
    ("metadata", "path", "words"),
    [
        ({"name": "a", "nmae": "b"}, "metadata.nmae", r"is not a field; remedy: did you mean name\?"),
        ({"name": "a", "label": {}}, "metadata.label", r"did you mean labels\?"),
        ({"name": "Foo_Bar"}, "metadata.name", "remedy: .*use lower-case letters, digits"),
        ({"name": "x" * 254}, "metadata.name", "it has 254; remedy: shorten it to 253 characters"),
        ({"name": 3}, "metadata.name", 'must be a string; remedy: quote it: "3"'),
        ({"name": "a", "generateName": "B_"}, "metadata.generateName", "lower-case"),
        ({"name": "a", "namespace": "Team_A"}, "metadata.namespace", "lower-case letters, digits and -"),
        ({"name": "a", "namespace": "a.b"}, "metadata.namespace", "at most 63"),
        ({"name": "a", "namespace": 7}, "metadata.namespace", 'quote it: "7"'),
        ({"name": "a", "labels": ["x"]}, "metadata.labels", "object with members"),
        ({"name": "a", "labels": {"a": 1}}, "metadata.labels.a", 'quote it: "1"'),
        ({"name": "a", "labels": {"a": "b c"}}, "metadata.labels.a", "label's value"),
        ({"name": "a", "labels": {"a": "x" * 64}}, "metadata.labels.a", "at most 63"),
        ({"name": "a", "labels": {"-a": "b"}}, "metadata.labels.-a", "give a key such as team"),
        ({"name": "a", "labels": {"a b/c": "b"}}, "metadata.labels.a b/c", "invalid prefix before its /"),
        ({"name": "a", "annotations": "x"}, "metadata.annotations", "object with members"),
        ({"name": "a", "annotations": {"a": True}}, "metadata.annotations.a", 'quote it: "true"'),
        ({"name": "a", "annotations": {"a b": "x"}}, "metadata.annotations.a b", "a key must be"),
    ],
    ids=str,
)
def test_refused(metadata: Any, path: str, words: str) -> None:
    """Path, value and remedy."""
    (problem,) = validate(_job(metadata))
    assert problem.path == path
    assert re.search(words, str(problem)), problem


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "x" * 253},
        {"generateName": "wordcount-", "namespace": "team-a"},
        {"name": "a", "labels": {"app.kubernetes.io/name": "x", "A_b.c": ""}, "annotations": {"x": "any thing\n{}"}},
        {"name": "a", "finalizers": ["x.y/z"], "ownerReferences": [], "labels": None},
        {
            "name": "a",
            "uid": "u",
            "resourceVersion": "3",
            "generation": 1,
            "managedFields": [],
            "deletionTimestamp": "t",
        },
    ],
    ids=["long", "namespace", "pairs", "others", "of-a-server"],
)
def test_allowed(metadata: Any) -> None:
    """What a cluster holds is valid to the operator."""
    assert validate(_job(metadata)) == []


@pytest.mark.parametrize("key", ["uid", "resourceVersion", "deletionTimestamp", "creationTimestamp", "generation"])
def test_what_the_server_writes(key: str) -> None:
    """By hand it is refused, with a remedy."""
    (problem,) = set_by_server(_job({"name": "a", key: "1"}))
    assert str(problem) == f'metadata.{key}: "1": is set by the apiserver; remedy: remove it'


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_have_nothing_of_it(name: str) -> None:
    """People's manifests are free of it, and what is no job is left to `validate`."""
    assert list(set_by_server(example(name))) == []
    assert list(set_by_server(None)) == []


@pytest.mark.parametrize(
    ("image", "meant"),
    [("Foo", "foo"), ("team/Words:V1", "team/words:V1"), ("reg.io:5000/A/b", "reg.io:5000/a/b"), ("Team/x", "team/x")],
)
def test_upper_case_repository(image: str, meant: str) -> None:
    """No runtime takes it."""
    (problem,) = validate(_job({"name": "a"}, image=image))
    assert problem.path == "spec.image"
    assert problem.remedy == f"did you mean {meant}?"


@pytest.mark.parametrize("image", ["a", "a:V1", "Reg.IO/a/b:X", "localhost/a@sha256:AB", "r:5000/a:T@sha256:00"])
def test_upper_case_elsewhere(image: str) -> None:
    """Registries, tags and digests may have it."""
    assert validate(_job({"name": "a"}, image=image)) == []


def test_port_out_of_range() -> None:
    """The endpoint's port is one."""
    storage = {"s3": {"bucket": "abc", "endpoint": "http://minio:99999"}}
    (problem,) = validate(_job({"name": "a"}, storage=storage))
    assert problem.path == "spec.storage.s3.endpoint"
    assert "65535" in problem.remedy


def test_null_input_is_shown() -> None:
    """The item and its value."""
    (problem,) = validate(_job({"name": "a"}, inputs=[None]))
    assert str(problem).startswith("spec.inputs[0]: null: must be a string")


def test_missing_inputs_shows_no_defaults() -> None:
    """A rule over the spec shows what was written."""
    job = _job({"name": "a"})
    del job["spec"]["inputs"]
    (problem,) = validate(job)
    assert "maxAttempts" not in str(problem)
    assert "exactly one of inputs and inputsFrom" in str(problem)


def test_grammar() -> None:
    """The message about an unsupported feature is a sentence."""
    messages = " ".join(problem.message for problem in validate(example("shell")))
    assert "running shell steps is not supported" in messages
