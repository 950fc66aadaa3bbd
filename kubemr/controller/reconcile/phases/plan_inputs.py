"""DEPLOYING, before anything is created: find the inputs of `spec.inputsFrom`.

The lock holder writes a split plan (`kubemr.controller.inputs`).
It records the plan by one conditional patch that tests the lock.
A listing may change between two tries, and an operator may die in the middle.
Only the plan that `status.inputs` names counts, in every later run too.
The objects of any other plan are deleted as soon as it is certain that the job will not name that plan.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from attrs import define, field

from kubemr.controller.inputs.access import InputsError
from kubemr.controller.inputs.plan import SplitPlan
from kubemr.controller.reconcile.context import WAIT_FOR_EVENT, CleanStore, ReconcileContext, Result
from kubemr.controller.reconcile.job_lock import guard, lock_value, patch_job, still_holds_lock
from kubemr.controller.reconcile.phases.claim import stages_of
from kubemr.controller.reconcile.status.blocked import report_blocked
from kubemr.controller.reconcile.storage.job_store import StorageNotReadyError, open_job_inputs, open_job_store
from kubemr.coordination.advance import condition, fail
from kubemr.coordination.job_view import Inputs, JobView
from kubemr.locks.conditional import PatchResult, PatchStatus, RequestRefusedError, apply
from kubemr.locks.effects import Do, Json, Now, Op, Random
from kubemr.locks.patch import lookup
from kubemr.reasons import ConditionType, Reason

PERMISSION_STATUSES: Final = (401, 403)
"""Refusals that may be temporary.  Others, such as 422 for a violation of the schema or a policy, are permanent."""
POLL_SECONDS: Final = 10.0
"""How soon to try again if a bucket or permission is missing, or a store does not answer."""
LOCK_CHECK_SECONDS: Final = 1.0
"""How often a long listing re-reads the job, to see whether this operator still holds its lock."""
REPORT_SECONDS: Final = 5.0
"""How often a long listing reports on the job how far it is."""


@define
class Progress:
    """Whether a long listing may continue, and how far it is.

    `job` is the job as this operator last saw it.  The intervals count from the first `report`.
    """

    job: JobView
    context: ReconcileContext
    _checked_at: float | None = field(default=None, init=False)
    _reported_at: float = field(default=0.0, init=False)

    def report(self, reason: Reason, message: str) -> Op[bool]:
        """Report `reason` and `message` in the condition `Deployed` (status False), at most every few seconds.

        Return False when this operator must not continue, because it no longer holds the job's lock.
        Most calls send no request.
        """
        now: float = yield Now()
        if self._checked_at is None:
            self._checked_at = self._reported_at = now
        if now - self._checked_at < LOCK_CHECK_SECONDS:
            return True
        self._checked_at = now
        if not (yield from still_holds_lock(self.job, self.context)):
            return False
        if now - self._reported_at < REPORT_SECONDS:
            return True
        self._reported_at = now
        now_string: str = yield Do(self.context.settings.now_string, "wall clock")
        patch = guard(self.job) + condition(
            self.job, ConditionType.DEPLOYED, reason, message, now_string, status="False"
        )

        def is_applied(seen: Json) -> bool:
            conditions: list[Json] = (seen.get("status") or {}).get("conditions") or []
            return any(
                each.get("type") == ConditionType.DEPLOYED and each.get("message") == message for each in conditions
            )

        patched = yield from patch_job(self.job.status, patch, is_applied)
        if patched is None:
            return False
        self.job = patched
        return True


def plan_inputs(document: Json, context: ReconcileContext) -> Op[Result]:
    """Find the inputs of a job whose lock this operator holds, write the plan, and record the number of tasks."""
    job = JobView.of(document)
    uniform: float = yield Random()
    name = f"{lock_value(document).fence}-{int(uniform * 16**6):06x}"
    try:
        store = yield from open_job_store(job, context)
        access = yield from open_job_inputs(job, context)
    except StorageNotReadyError as problem:
        yield from report_blocked(job, context, Reason.STORAGE_NOT_READY, str(problem))
        return Result(POLL_SECONDS)
    split_plan = SplitPlan(name, document["spec"], access, store, job.storage_prefix)
    progress = Progress(job, context)
    try:
        written = yield from _write_plan(split_plan, progress)
    except InputsError as error:
        yield from _discard_plan(store, split_plan)
        yield from fail(progress.job, str(error), context.settings.now_string, Reason.INVALID_INPUTS)
        return WAIT_FOR_EVENT
    except RequestRefusedError:  # Of a report on how far it is.
        yield from _discard_plan(store, split_plan)
        raise
    except Exception as error:  # Any error of a store: report it on the job, and try again.
        yield from _discard_plan(store, split_plan)
        yield from report_blocked(
            progress.job, context, Reason.INPUTS_UNAVAILABLE, f"spec.inputsFrom cannot be listed: {error}"
        )
        return Result(POLL_SECONDS)
    if not written:
        yield from _discard_plan(store, split_plan)
        return Result(0.0)
    outcome = yield from _record_plan(progress.job, split_plan)
    if _is_void(outcome):
        yield from _discard_plan(store, split_plan)
    if outcome.status is not PatchStatus.REFUSED:
        return Result(0.0)
    return (yield from _handle_refusal(progress.job, context, outcome))


def _write_plan(split_plan: SplitPlan, progress: Progress) -> Op[bool]:
    """Write the whole plan; return False if this operator must not continue."""
    while (yield from progress.report(Reason.LISTING_INPUTS, f"{split_plan.files:,} files found so far")):
        if (yield Do(split_plan.step, "list inputs")):
            return True
    return False


def _record_plan(job: JobView, split_plan: SplitPlan) -> Op[PatchResult]:
    """Record the plan in the job's status.

    The patch fails if another operator holds the lock by now, or if the apiserver refuses it.
    """
    planned = Inputs(split_plan.name, split_plan.tasks, split_plan.tasks_per_chunk)
    stages = stages_of(job, planned)
    patch = guard(job).test("/status/inputs", None).add("/status/inputs", split_plan.status())
    patch = patch.replace("/status/stages", stages)
    patch = patch.add("/status/progress", f"0/{sum(each['total'] for each in stages)}")
    return (yield from apply(job.status, patch, lambda seen: lookup(seen, "/status/inputs/plan") == split_plan.name))


def _is_void(outcome: PatchResult) -> bool:
    """Return True if the job will never name the plan.

    A try without a clear answer may still be carried out after a later try was refused.
    The apiserver would refuse both for their content, but permissions come and go.
    So a plan whose patch was refused for a lack of permission is not void.
    """
    if outcome.status is not PatchStatus.REFUSED:
        return not outcome.won
    return outcome.object is None or outcome.answer.status not in PERMISSION_STATUSES


def _handle_refusal(job: JobView, context: ReconcileContext, outcome: PatchResult) -> Op[Result]:
    """Report the refusal on the job, which waits for permissions, or fails if no later try can succeed."""
    cause = f"spec.inputsFrom: what was found cannot be recorded on the job: {outcome.answer.message}"
    if outcome.answer.status in PERMISSION_STATUSES:
        problem = f"{cause}; grant the operator the permission, or correct the policy"
        yield from report_blocked(job, context, Reason.INPUTS_UNAVAILABLE, problem)
        return Result(POLL_SECONDS)
    remedy = "correct spec.inputsFrom, or the policy that refuses it"
    yield from fail(job, f"{cause}; {remedy}", context.settings.now_string, Reason.INPUTS_REJECTED)
    return WAIT_FOR_EVENT


def _discard_plan(store: CleanStore, split_plan: SplitPlan) -> Op[None]:
    with suppress(Exception):  # If the store fails now too, the plan goes with the job's other objects.
        yield Do(lambda: store.delete_prefix(split_plan.prefix), "discard plan")
