"""`status.lockholder`: the lock that decides which operator reconciles a job.

It is a lock as in `kubemr.locks.lock_value`, `holder/fence/heartbeat`.
Its holder is alive as long as it renews its own Lease (`kubemr.locks.failure_detectors.LeaseDetector`).
So renewals cost one patch per operator and not one per job, and the heartbeat in the lock never changes.

Every patch of the lock holder tests the lock's value.
So an operator that was paused, and whose job another operator has taken over, cannot change anything afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.coordination.job_view import JobView
from kubemr.locks.conditional import PatchStatus, RequestRefusedError, Target, apply, read
from kubemr.locks.effects import Json, Now, Op, Random
from kubemr.locks.lock_value import LockValue
from kubemr.locks.patch import Patch, lookup

PATH = "/status/lockholder"


def lock_value(document: Json) -> LockValue:
    """Return the lock of the job in `document`."""
    return LockValue.parse(lookup(document, PATH))


def is_ours(document: Json, context: ReconcileContext) -> bool:
    """Return True if this operator holds the job's lock in `document`."""
    return lock_value(document).holder == context.identity


def guard(job: JobView) -> Patch:
    """Return the tests with which every patch of the lock holder begins."""
    return (
        Patch()
        .test("/metadata/uid", job.uid)
        .test("/status/run", job.run)
        .test("/status/phase", job.phase)
        .test(PATH, lock_value(job.document).raw)
    )


def patch_job(target: Target, patch: Patch, is_applied: Callable[[Json], bool]) -> Op[JobView | None]:
    """Send one conditional patch of a job and return the job as the patch left it.

    Return None when a test failed or the job is gone: the caller waits for the event that shows the change.
    `is_applied` decides after a lost answer whether the patch was carried out.  Raises `RequestRefusedError`.
    """
    outcome = yield from apply(target, patch, is_applied)
    if outcome.status is PatchStatus.REFUSED:
        raise RequestRefusedError(f"patching {target}", outcome.answer)
    return JobView.of(outcome.object) if outcome.won else None


def next_acquisition(job: JobView, context: ReconcileContext) -> Op[LockValue]:
    """Return the lock value with which this operator becomes the holder."""
    return lock_value(job.document).taken_by(context.identity, (yield Random()))


def take_over(job: JobView, context: ReconcileContext) -> Op[JobView | None]:
    """Acquire the lock of a job whose holder is dead or absent.

    Return the job with the acquired lock, or None if another operator holds it.
    """
    holder = lock_value(job.document)
    if not holder.free:
        now: float = yield Now()
        if not (yield from context.failure_detector.is_dead(holder, now, now)):
            return None
    acquisition = yield from next_acquisition(job, context)
    patch = guard(job).add(PATH, acquisition.raw)
    outcome = yield from apply(job.status, patch, lambda seen: acquisition.same_acquisition_as(lookup(seen, PATH)))
    if outcome.status is PatchStatus.REFUSED:
        raise RequestRefusedError(f"taking over {job.target}", outcome.answer)
    return JobView.of(outcome.object) if outcome.won else None


def still_holds_lock(job: JobView, context: ReconcileContext) -> Op[bool]:
    """Return True if a consistent read shows that this operator still holds the lock in the same run and phase.

    Call it before creating pods: an operator that was paused must not start workers of a job that is over.
    """
    document: Json = yield from read(job.target)
    if document is None or document["metadata"].get("deletionTimestamp"):
        return False
    now = JobView.of(document)
    return now.uid == job.uid and now.run == job.run and now.phase == job.phase and is_ours(document, context)
