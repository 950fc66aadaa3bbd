"""What a worker does about its environment, and about a job that needs none."""

from __future__ import annotations

from typing import Any

import pytest

from kubemr.coordination import names
from kubemr.coordination.protocol import PROTOCOL
from kubemr.locks.effects import Request
from support.protocolstage import Stage

pytestmark = pytest.mark.long

WRONG: list[dict[str, str | None]] = [
    {"KUBEMR_JOB_NAME": None},
    {"KUBEMR_JOB_NAMESPACE": None},
    {"KUBEMR_JOB_UID": None},
    {"KUBEMR_RUN": None},
    {"KUBEMR_RUN": "one"},
    {"JOB_COMPLETION_INDEX": None},
    {"JOB_COMPLETION_INDEX": "-1"},
    {"KUBEMR_PROTOCOL": str(PROTOCOL + 1)},
    {"KUBEMR_LEASE_SECONDS": "soon"},
    {"KUBEMR_STORAGE_URL": None},
    {"KUBEMR_APISERVER": None},
]


def test_wrong_settings(stage: Stage, command: list[str]) -> None:
    """A variable that is missing or makes no sense, or a protocol yet to come: exit code 2, and nothing was sent."""
    stage.deploy({"a": b"x"})
    for wrong in WRONG:
        worker = stage.start(command, environ=wrong)
        assert worker.wait() == 2, f"with {wrong}: {worker.log}"
        assert next(iter(wrong)) in worker.log or "KUBEMR_S3" in worker.log, (
            f"the log does not name {wrong}: {worker.log}"
        )
    assert stage.proxy.records == []


@pytest.mark.parametrize("case", ["no such job", "another uid", "another run", "being deleted", "COMPLETE", "FAIL"])
def test_a_job_that_needs_no_worker(stage: Stage, command: list[str], case: str) -> None:
    """The job is gone, replaced, in another run, being deleted or over: exit code 0 without touching a task."""
    job = stage.deploy({"a": b"x"})
    environ: dict[str, str | None] = {}
    if case == "no such job":
        environ["KUBEMR_JOB_NAME"] = "another"
    elif case == "another uid":
        environ["KUBEMR_JOB_UID"] = "00000000-0000-4000-8000-000000000000"
    elif case == "another run":
        environ["KUBEMR_RUN"] = "2"
    elif case == "being deleted":
        finalizer: Any = {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/wait"]}
        stage.write(names.JOBS, job.name, finalizer)
        stage.ask(Request("delete", names.JOBS, "default", job.name))
    else:
        stage._patch(names.JOBS, job.name, [{"op": "replace", "path": "/status/phase", "value": case}], "status")
    worker = stage.start(command, environ=environ)
    assert worker.wait() == 0, worker.log
    assert not stage.requests(worker, "mapreduce"), "it wrote"


def test_a_job_that_goes_while_a_task_runs(stage: Stage, command: list[str]) -> None:
    """A worker in the middle of a long task notices that the job was deleted, and exits with 0."""
    stage.deploy({"a": b"x"})
    stage.inputs.hold("a")
    worker = stage.start(command)
    stage.until(lambda: stage.inputs.asked["a"], "the task runs")
    stage.ask(Request("delete", names.JOBS, "default", stage.job.name))
    assert worker.wait() == 0, worker.log
