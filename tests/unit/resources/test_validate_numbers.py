"""Numbers that JSON does not have are refused by name, and never end in an exception."""

from __future__ import annotations

import math

import pytest

from kubemr.resources import validate
from kubemr.resources.structural_schema import check
from support.jobs import example


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_not_finite(value: float) -> None:
    """The field, and what to do."""
    job = example("seed")
    job["spec"]["replicas"] = value
    (problem,) = validate(job)
    assert problem.path == "spec.replicas"
    assert problem.message == "is not a number in JSON"
    assert problem.remedy == "give a finite number"


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**5000, -(10**5000)], ids=["nan", "inf", "huge", "-huge"])
def test_the_schema_refuses_them_too(value: float) -> None:
    """The check of the schema alone handles them, too."""
    assert check({"x": value}, {"type": "object", "properties": {"x": {"type": "integer", "minimum": 1}}})


def test_a_huge_whole_number() -> None:
    """It is out of range as any other."""
    job = example("seed")
    job["spec"]["replicas"] = 10**400
    assert {problem.path for problem in validate(job)} == {"spec.replicas"}
