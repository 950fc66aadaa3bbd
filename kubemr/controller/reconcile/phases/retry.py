"""FAIL, and `restarts` was raised: start another run, in which only the tasks that were not committed run again.

The shards of the failed run are kept, and those of the next run are made from them (`builders.carry_over`).
Epochs keep rising, so an attempt identifies one piece of work whatever the run.
Committed outputs keep their place in storage.

The next run begins when the pods of the last run have ended, or after a limited time.
Pods that are left then have no Lease, no permissions and no shards in it, and end when they read its number.
While the run waits, and if there can be no other run, the condition `Retried` says why.
"""

from __future__ import annotations

from kubemr.controller.reconcile.context import WAIT_FOR_EVENT, ReconcileContext, Result
from kubemr.controller.reconcile.job_lock import patch_job
from kubemr.controller.reconcile.phases.accept import find_problems, mark_pending, summarize_problems
from kubemr.controller.reconcile.phases.cleanup import SETTLE_SECONDS, delete_children, policy_of
from kubemr.controller.reconcile.shards.missing import describe_missing_shards
from kubemr.controller.reconcile.status.events import event
from kubemr.controller.reconcile.workers.stuck_pods import POD_POLL_SECONDS
from kubemr.coordination.advance import condition
from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import Do, Json, Now, Op
from kubemr.locks.patch import Patch
from kubemr.reasons import ConditionType, Reason


def retry_requested(job: JobView) -> bool:
    """Return True if the user requests another run of a failed job."""
    status = job.document.get("status") or {}
    return job.phase == "FAIL" and restarts_of(job.document) > int(status.get("observedRestarts") or 0)


def restarts_of(document: Json) -> int:
    """Return `spec.restarts`."""
    return int((document.get("spec") or {}).get("restarts") or 0)


def retry(document: Json, context: ReconcileContext) -> Op[Result]:
    """Clean up after the last run, then begin the next one by one conditional patch.  Any operator may do it."""
    job = JobView.of(document)
    now: str = yield Do(context.settings.now_string, "wall clock")
    problems = yield from _retry_problems(job, context)
    if problems:
        patch = _guard(job).add("/status/observedRestarts", restarts_of(document))
        yield from _report_retry(job, Reason.RETRY_REJECTED, summarize_problems(problems), now, patch)
        return WAIT_FOR_EVENT
    if job.stages:
        waits = yield from _waits_for_pods(job, context)
        left = yield from delete_children(job, context, wait_for_pods=waits, emit_event=False)
        if left:
            yield from _report_pods(job, left, now)
            return Result(POD_POLL_SECONDS)
    run = job.run + 1
    patched = yield from mark_pending(job, run, now)
    if patched is not None:
        yield from event(patched, Reason.RETRIED, f"run {run}: committed tasks are carried over", now)
    return WAIT_FOR_EVENT


def _retry_problems(job: JobView, context: ReconcileContext) -> Op[list[str]]:
    """Return why there can be no other run."""
    if policy_of(job) == "None":
        return ["spec.storage.retentionPolicy: 'None': nothing is left to continue from; create a new job"]
    problems = yield from find_problems(job.document, context)
    if (
        problems or not job.stages or job.stages[0].total == 0
    ):  # Without inputs, or before they were found, there are no shards.
        return problems
    lost = yield from describe_missing_shards(job, context)
    return [f"spec.restarts: {lost}: there is nothing to continue from; create the job again"] if lost else []


def _waits_for_pods(job: JobView, context: ReconcileContext) -> Op[bool]:
    """Return True while the next run waits for pods: as long as `cleanup.clean_up` does, which may have begun."""
    now: float = yield Now()
    first = context.cleaned.setdefault((job.uid, job.run), now)
    return first <= now < first + SETTLE_SECONDS


def _report_pods(job: JobView, left: list[Json], now: str) -> Op[None]:
    """Report once which pods the next run waits for."""
    conditions: list[Json] = job.document["status"].get("conditions") or []
    if any((each["type"], each["reason"]) == (ConditionType.RETRIED, Reason.WAITING_FOR_PODS) for each in conditions):
        return
    message = (
        f"run {job.run + 1} waits for pods of the last run to end ({len(left)} left, e.g. "
        f"{left[0]['metadata']['name']}), {SETTLE_SECONDS:g} s at most; on a node that does not answer, they are "
        "deleted by force"
    )
    yield from _report_retry(job, Reason.WAITING_FOR_PODS, message, now, _guard(job))


def _report_retry(job: JobView, reason: Reason, message: str, now: str, patch: Patch) -> Op[None]:
    """Set the condition `Retried` in one patch with the changes of `patch`, and emit an Event."""
    patch += condition(job, ConditionType.RETRIED, reason, message, now, status="False")
    patched = yield from patch_job(job.status, patch, patch.shows)
    if patched is not None:
        yield from event(patched, reason, message, now)


def _guard(job: JobView) -> Patch:
    return Patch().test("/metadata/uid", job.uid).test("/status/run", job.run).test("/status/phase", job.phase)
