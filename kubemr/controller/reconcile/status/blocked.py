"""What keeps a job from getting on, said on the job itself while it lasts: `status.error`, a condition and an Event.

The condition is `Deployed`: "False" while the deployment cannot go on; "True" with another reason when all is deployed
and its pods do not come up.  `status.error` and the condition change in one patch, so that whoever replaces the one
under a test of the other knows both.
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
    """Say it once."""
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
    """It has passed."""
    if not (job.document.get("status") or {}).get("error"):
        return
    now: str = yield Do(context.settings.now_string, "wall clock")
    patch = guard(job).remove("/status/error")
    patch += condition(job, ConditionType.DEPLOYED, Reason.DEPLOYED, f"{job.replicas} workers", now)
    patched = yield from patch_job(job.status, patch, lambda seen: not (seen.get("status") or {}).get("error"))
    if patched is not None:
        yield from event(patched, Reason.UNBLOCKED, "what held the job up has passed", now)


def reason_of(job: JobView) -> str:
    """The reason of the condition `Deployed`."""
    conditions: list[Mapping[str, Json]] = (job.document.get("status") or {}).get("conditions") or []
    return next((str(each.get("reason")) for each in conditions if each.get("type") == ConditionType.DEPLOYED), "")
