"""Report on the job what blocks its progress: `status.error`, the condition `Deployed` and an Event.

The condition is "False" while the deployment cannot continue.
It is "True", with another reason than `Deployed`, if everything is deployed and the pods do not start.
One patch changes `status.error` and the condition together.
So a patch that tests one of them may replace both.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.job_lock import guard, patch_job
from kubemr.controller.reconcile.status.events import event
from kubemr.coordination.advance import MAX_ERROR, condition
from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import Do, Json, Op
from kubemr.locks.patch import lookup
from kubemr.reasons import ConditionType, Reason


def report_blocked(job: JobView, context: ReconcileContext, reason: Reason, message: str) -> Op[None]:
    """Report that the job is blocked, once for each message."""
    shown = message if len(message) <= MAX_ERROR else message[: MAX_ERROR - 1] + "…"
    if (job.document.get("status") or {}).get("error") == shown:
        return
    now: str = yield Do(context.settings.now_string, "wall clock")
    state = "True" if job.phase == "DEPLOYED" else "False"
    patch = guard(job).add("/status/error", shown)
    patch += condition(job, ConditionType.DEPLOYED, reason, shown, now, status=state)
    patched = yield from patch_job(job.status, patch, lambda seen: bool(lookup(seen, "/status/error") == shown))
    if patched is not None:
        yield from event(patched, reason, shown, now)


def clear_blocked(job: JobView, context: ReconcileContext) -> Op[None]:
    """Report that what blocked the job is gone."""
    if not (job.document.get("status") or {}).get("error"):
        return
    now: str = yield Do(context.settings.now_string, "wall clock")
    patch = guard(job).remove("/status/error")
    patch += condition(job, ConditionType.DEPLOYED, Reason.DEPLOYED, f"{job.replicas} workers", now)
    patched = yield from patch_job(job.status, patch, lambda seen: not (seen.get("status") or {}).get("error"))
    if patched is not None:
        yield from event(patched, Reason.UNBLOCKED, "what blocked the job is gone", now)


def reason_of(job: JobView) -> str:
    """Return the reason of the condition `Deployed`."""
    conditions: list[Mapping[str, Json]] = (job.document.get("status") or {}).get("conditions") or []
    return next((str(each.get("reason")) for each in conditions if each.get("type") == ConditionType.DEPLOYED), "")
