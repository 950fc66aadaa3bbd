"""How large a spec may be, to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubemr.resources.crd import with_defaults
from kubemr.resources.semantic_checks import MAX_SPEC
from kubemr.resources.validate import validate


def job(annotation: str) -> Any:
    """A job with a template of that content."""
    spec = {"image": "team/words", "inputs": [], "template": {"metadata": {"annotations": {"a": annotation}}}}
    return {
        "apiVersion": "turbobytes.com/v1alpha1",
        "kind": "MapReduceJob",
        "metadata": {"name": "large"},
        "spec": spec,
    }


@pytest.mark.parametrize(("character", "size"), [("x", 1), ("é", 2), ("<", 6), ("\n", 2), ("\ud800", 3)])
def test_a_spec_up_to_the_limit(character: str, size: int) -> None:
    """Counted as the apiserver stores it: UTF-8, and what JSON or Go escapes."""
    rest = sum(len(json.dumps(value, separators=(",", ":"))) for value in with_defaults(job(""))["spec"].values())
    count, left = divmod(MAX_SPEC - rest, size)
    text = character * count + "x" * left
    assert not validate(job(text))
    (problem,) = validate(job(text + "x"))
    assert problem.path == "spec"
    assert f"{MAX_SPEC + 1} bytes in JSON" in problem.value
    assert f"of template: must have at most {MAX_SPEC} bytes" in str(problem)
