"""The state machine: choose the step for a job's state.  The table is in `reconcile/__init__.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubemr.controller.reconcile.context import WAIT_FOR_EVENT, ReconcileContext, Result, Step
from kubemr.controller.reconcile.job_lock import is_ours, take_over
from kubemr.controller.reconcile.phases.accept import accept
from kubemr.controller.reconcile.phases.claim import claim
from kubemr.controller.reconcile.phases.cleanup import clean_up
from kubemr.controller.reconcile.phases.deletion import delete
from kubemr.controller.reconcile.phases.deploy import deploy
from kubemr.controller.reconcile.phases.retry import retry, retry_requested
from kubemr.controller.reconcile.phases.supervise import supervise
from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import Json, Op

UNLOCKED_STEPS: Final[Mapping[str, Step]] = {"": accept, "PENDING": claim, "COMPLETE": clean_up, "FAIL": clean_up}
"""Steps that any operator may run: one conditional patch decides between operators, or running it twice is harmless."""

LOCKED_STEPS: Final[Mapping[str, Step]] = {"DEPLOYING": deploy, "DEPLOYED": supervise}
"""Steps that only the holder of the job's lock may run."""


def reconcile(document: Json, context: ReconcileContext) -> Op[Result]:
    """Run the step for the job's state.  `document` may be out of date, because every change is conditional.

    An operator that does not hold the lock of a job in a locked phase first takes it over, if its holder is dead.
    """
    job = JobView.of(document)
    if document["metadata"].get("deletionTimestamp"):
        return (yield from delete(document, context))
    if retry_requested(job):
        return (yield from retry(document, context))
    if job.phase in UNLOCKED_STEPS:
        return (yield from UNLOCKED_STEPS[job.phase](document, context))
    if not is_ours(document, context):
        taken = yield from take_over(job, context)
        if taken is None:
            return Result(context.failure_detector.poll)
        document = taken.document
        if taken.phase not in LOCKED_STEPS:
            return WAIT_FOR_EVENT
        job = taken
    return (yield from LOCKED_STEPS[job.phase](document, context))
