"""Small typed accessors for jobs as the apiserver serves them: nested dicts, any part of which may be absent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubemr.resources.jsontypes import Json

FINAL_PHASES: Final = ("COMPLETE", "FAIL")


def spec(job: Json) -> dict[str, Json]:
    """The spec; empty when there is none."""
    return job.get("spec") or {}


def status(job: Json) -> dict[str, Json]:
    """The status; empty before the operator has seen the job."""
    return job.get("status") or {}


def phase(job: Json) -> str:
    """PENDING, DEPLOYING, DEPLOYED, COMPLETE or FAIL; empty before the operator has seen the job."""
    return status(job).get("phase") or ""


def is_final(job: Json) -> bool:
    """The job is over, unless it is retried."""
    return phase(job) in FINAL_PHASES


def run(job: Json) -> int:
    """The number of the run, from 1."""
    return status(job).get("run") or 1


def stage(job: Json) -> str:
    """The stage that is on, e.g. `0-map`; empty when none is."""
    return status(job).get("stage") or ""


def stages(job: Json) -> Iterator[dict[str, Json]]:
    """The entries of `status.stages`."""
    yield from status(job).get("stages") or ()


def results(job: Json) -> list[str]:
    """The results that are listed in the status."""
    return list(status(job).get("results") or ())


def error(job: Json) -> str:
    """Why the job failed, or what holds it up."""
    return status(job).get("error") or ""


def condition(job: Json, kind: str) -> dict[str, Json] | None:
    """The condition of a type (`Valid`, `Deployed`, …), or None."""
    return next((one for one in status(job).get("conditions") or () if one.get("type") == kind), None)


def is_true(job: Json, kind: str) -> bool:
    """Whether the condition of a type holds."""
    found = condition(job, kind)
    return found is not None and found.get("status") == "True"


def uid(job: Json) -> str:
    """The uid, which no other object ever has."""
    return str(job["metadata"]["uid"])
