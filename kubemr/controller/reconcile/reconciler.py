"""The state machine: which step a job's state calls for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubemr.controller.reconcile.context import DONE, After, Operator, Step
from kubemr.controller.reconcile.job_lock import is_ours, take_over
from kubemr.controller.reconcile.phases.accept import accept
from kubemr.controller.reconcile.phases.claim import claim
from kubemr.controller.reconcile.phases.cleanup import tidy
from kubemr.controller.reconcile.phases.deletion import delete
from kubemr.controller.reconcile.phases.deploy import deploy
from kubemr.controller.reconcile.phases.retry import retry, wanted
from kubemr.controller.reconcile.phases.supervise import supervise
from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import Json, Op

ANYBODY: Final[Mapping[str, Step]] = {"": accept, "PENDING": claim, "COMPLETE": tidy, "FAIL": tidy}
"""Steps that any operator may take: each is decided by one conditional patch, or is harmless twice."""

DRIVER: Final[Mapping[str, Step]] = {"DEPLOYING": deploy, "DEPLOYED": supervise}
"""Steps that belong to the operator that holds the job's lock."""


def reconcile(document: Json, operator: Operator) -> Op[After]:
    """Take the step that a job's state calls for.  `document` may be out of date: every change is conditional."""
    job = JobView.of(document)
    if document["metadata"].get("deletionTimestamp"):
        return (yield from delete(document, operator))
    if wanted(job):
        return (yield from retry(document, operator))
    if job.phase in ANYBODY:
        return (yield from ANYBODY[job.phase](document, operator))
    if not is_ours(document, operator):
        taken = yield from take_over(job, operator)
        if taken is None:
            return After(operator.judge.poll)
        document = taken.document
        if taken.phase not in DRIVER:
            return DONE
        job = taken
    return (yield from DRIVER[job.phase](document, operator))
