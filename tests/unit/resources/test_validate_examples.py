"""What people may write passes; what this version does not do yet is refused by name and by nothing else."""

from __future__ import annotations

import pytest

import kubemr
from kubemr.resources import validate
from kubemr.resources.definitions.objects import MapReduceJob
from kubemr.resources.fields import walk
from kubemr.resources.unsupported_fields import KUBEMR_VERSION, UNSUPPORTED
from support.jobs import example


@pytest.mark.parametrize("name", ["seed", "image", "many-inputs", "nothing-to-do"])
def test_worker_images_pass(name: str) -> None:
    """The first kubemr's manifest and everything optional of that form are valid."""
    assert validate(example(name)) == []


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("shell", {"inputFormat.maxBadRecords", "files", "steps", "output"}),
        ("python", {"program", "output"}),
    ],
)
def test_later_forms_are_refused_by_name(name: str, fields: set[str]) -> None:
    """Each field of a later version is one problem, and there is no other."""
    problems = validate(example(name))
    assert {problem.path for problem in problems} == {f"spec.{field}" for field in fields}
    assert all(f"is not supported by this version ({KUBEMR_VERSION})" in problem.message for problem in problems)


def test_the_version_is_that_of_the_package() -> None:
    """The message and docs/api.md name the version that the user has installed."""
    assert kubemr.__version__.split(".")[:2] == KUBEMR_VERSION.split(".")


def test_later_fields_are_refused_in_a_broken_job_too() -> None:
    """Mistakes elsewhere do not hide that a field is not supported."""
    job = example("shell")
    job["spec"]["replicas"] = "4"
    assert {"spec.replicas", "spec.steps"} <= {problem.path for problem in validate(job)}


def test_not_yet_names_fields_of_the_spec() -> None:
    """The table cannot name a field that does not exist."""
    assert set(UNSUPPORTED) <= {path for path, _, _ in walk(MapReduceJob)}


def test_validate_leaves_the_job_alone() -> None:
    """No default appears in the caller's document."""
    job = example("seed")
    validate(job)
    assert job == example("seed")
