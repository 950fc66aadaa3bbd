"""What may change after creation: the command line and the operator say it as the CRD does."""

from __future__ import annotations

import pytest

from kubemr.resources import validate_change
from support.jobs import example


@pytest.mark.parametrize(("key", "value"), [("replicas", 3), ("suspend", True), ("restarts", 1)])
def test_allowed(key: str, value: object) -> None:
    """Scaling, suspending and retrying change the spec."""
    new = example("seed")
    new["spec"][key] = value
    assert validate_change(new, example("seed")) == []


@pytest.mark.parametrize(
    ("key", "value"), [("image", "x"), ("jobargs", {"a": "b"}), ("partitions", 3), ("maxAttempts", 1)]
)
def test_refused(key: str, value: object) -> None:
    """The field, what it was to become, and what to do instead."""
    new = example("seed")
    new["spec"][key] = value
    (problem,) = validate_change(new, example("seed"))
    assert problem.path == f"spec.{key}"
    assert (problem.message, problem.remedy) in (
        (f"{key} cannot change after creation", "delete the job and create it again"),
        (f"{key} may change only together with a retry", "raise restarts in the same change, or create a new job"),
    )


def test_a_default_written_out_is_no_change() -> None:
    """The comparison is of jobs with their defaults."""
    new = example("seed")
    new["spec"]["maxAttempts"] = 4
    assert validate_change(new, example("seed")) == []


def test_with_a_retry_more_may_change() -> None:
    """Attempts, time, memory and the pod template may change with a raised `restarts`."""
    new = example("seed")
    new["spec"] |= {"restarts": 1, "maxAttempts": 9, "resources": {"requests": {"memory": "4Gi"}}}
    assert validate_change(new, example("seed")) == []
    assert [problem.path for problem in validate_change(example("seed"), new)] == [
        "spec.maxAttempts",
        "spec.resources",
        "spec.restarts",
    ]
