"""A local run adapts a manifest, and rejects what it does not support."""

from __future__ import annotations

from typing import Any

import pytest

from kubemr.local.manifest import localize, problems
from support.localrun import document


def local(job: Any, **given: Any) -> Any:
    return localize(job, **{"command": ["run"], "replicas": None, "cpus": 7, "keep": False, **given})


def test_the_command_goes_into_the_workers_container() -> None:
    """The worker gets it unchanged: what Kubernetes would expand is escaped, and `args` of the template are dropped."""
    containers = [{"name": "worker", "args": ["x"], "env": [{"name": "A", "value": "1"}]}]
    job = local(document(template={"spec": {"containers": containers}}), command=["sh", "-c", "echo $$ $(A)"])
    (worker,) = job["spec"]["template"]["spec"]["containers"]
    assert worker == {
        "name": "worker",
        "command": ["sh", "-c", "echo $$$$ $$(A)"],
        "env": [{"name": "A", "value": "1"}],
    }


def test_the_given_manifest_stays_as_it_is() -> None:
    """A copy is changed."""
    job = document()
    local(job)
    assert job == document()


@pytest.mark.parametrize(("given", "manifest", "expected"), [(None, None, 7), (None, 4, 4), (2, 4, 2)])
def test_how_many_workers(given: int | None, manifest: int | None, expected: int) -> None:
    """The option counts, else the manifest, else there is one per CPU."""
    job = document()
    del job["spec"]["replicas"]
    if manifest is not None:
        job["spec"]["replicas"] = manifest
    assert local(job, replicas=given)["spec"]["replicas"] == expected


def test_keep_is_the_retention_of_everything() -> None:
    """`--keep` is `storage.retentionPolicy: All`."""
    assert local(document(), keep=True)["spec"]["storage"] == {"retentionPolicy": "All"}


@pytest.mark.parametrize(
    "job",
    [
        None,
        [],
        "text",
        {},
        {"spec": []},
        {"spec": {"template": []}},
        {"spec": {"template": {"spec": {"containers": 1}}}},
    ],
)
def test_a_manifest_of_the_wrong_structure_is_named_by_the_validation(job: Any) -> None:
    """It stays unchanged, and is rejected."""
    assert problems(local(job))


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"template": {"spec": {"volumes": [{"name": "v"}]}}}, "spec.template.spec.volumes"),
        (
            {"template": {"spec": {"initContainers": [{"name": "i", "image": "x"}]}}},
            "spec.template.spec.initContainers",
        ),
        ({"template": {"spec": {"containers": [{"name": "log", "image": "x"}]}}}, "spec.template.spec.containers[1]"),
        ({"storage": {"s3": {"bucket": "bucket"}}}, "spec.storage.s3"),
    ],
)
def test_what_a_local_run_cannot_honour_is_refused_by_name(spec: dict[str, Any], path: str) -> None:
    """It is never ignored."""
    assert [problem.path for problem in problems(local(document(inputs=["a"], **spec)))] == [path]


def test_a_job_without_a_command_is_refused() -> None:
    """A local run does not run an image."""
    (problem,) = problems(local(document(inputs=["a"]), command=[]))
    assert problem.path == "spec.template.spec.containers[worker].command"
    assert not problems(local(document(inputs=["a"])))
