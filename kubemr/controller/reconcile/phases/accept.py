"""Validate a new job, and mark it PENDING, or FAIL with the reasons.

Any operator may do it, because the patch tests that there is no status yet.
A valid job first gets the finalizer, before any object exists that would have to be cleaned up.
"""

from __future__ import annotations

from kubemr.controller.reconcile.context import FINALIZER, WAIT_FOR_EVENT, ReconcileContext, Result
from kubemr.controller.reconcile.job_lock import patch_job
from kubemr.controller.reconcile.status.events import event
from kubemr.coordination.advance import MAX_ERROR
from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import Do, Json, Op
from kubemr.locks.patch import Patch
from kubemr.reasons import ConditionType, Reason
from kubemr.resources import validate

SHOWN_PROBLEMS = 10


def accept(document: Json, context: ReconcileContext) -> Op[Result]:
    """Mark a new job PENDING or FAIL."""
    job = JobView.of(document)
    problems = yield from find_problems(document, context)
    now: str = yield Do(context.settings.now_string, "wall clock")
    if problems:
        status = _failed_status(job, problems, now)
        patched = yield from _replace_status(job, status)
        if patched is not None:
            yield from event(patched, Reason.INVALID, status["error"], now)
        return WAIT_FOR_EVENT
    patched = yield from mark_pending(job, 1, now)
    if patched is not None:
        yield from event(patched, Reason.ACCEPTED, "the job is valid", now)
    return WAIT_FOR_EVENT


def find_problems(document: Json, context: ReconcileContext) -> Op[list[str]]:
    """Return what is wrong with the spec, and with the storage that it names."""
    problems = [str(problem) for problem in validate(document)]
    if not problems:
        try:
            yield Do(lambda: context.settings.storage(document), "storage settings")
        except ValueError as error:
            problems = [str(error)]
    return problems


def mark_pending(job: JobView, run: int, now: str) -> Op[JobView | None]:
    """Mark the job PENDING, as its first run or a later one; return None if the job has changed in the meantime."""
    if not (yield from _ensure_finalizer(job)):
        return None
    return (yield from _replace_status(job, _pending_status(job, run, now)))


def _replace_status(job: JobView, status: Json) -> Op[JobView | None]:
    # The test is of the whole status: a path below a status that does not exist fails.
    before = job.document.get("status")
    patch = Patch().test("/metadata/uid", job.uid).test("/status", before).add("/status", status)

    def is_applied(seen: Json) -> bool:
        found = JobView.of(seen)
        return (found.phase, found.run) == (status["phase"], status["run"])

    return (yield from patch_job(job.status, patch, is_applied))


def _ensure_finalizer(job: JobView) -> Op[bool]:
    """Add the finalizer to the job; return False if the job has changed in the meantime."""
    finalizers = job.document["metadata"].get("finalizers") or []
    if FINALIZER in finalizers:
        return True
    wanted = [*finalizers, FINALIZER]
    patch = Patch().test("/metadata/uid", job.uid).test("/metadata/finalizers", finalizers or None)
    patch = patch.add("/metadata/finalizers", wanted)
    patched = yield from patch_job(job.target, patch, patch.shows)
    return patched is not None


def _pending_status(job: JobView, run: int, now: str) -> Json:
    inputs = (job.document.get("status") or {}).get("inputs")
    return {
        "phase": "PENDING",
        # The same in every run, because the numbers of the tasks identify what was committed.
        **({} if inputs is None else {"inputs": inputs}),
        "run": run,
        "observedRestarts": _restarts(job),
        "observedGeneration": _spec_generation(job),
        "conditions": [_condition(job, ConditionType.VALID, "True", Reason.VALID, "the spec is valid", now)],
    }


def summarize_problems(problems: list[str]) -> str:
    """Join the first problems, each of them whole as long as they fit, and the number of further ones."""
    shown = 1
    while shown < min(len(problems), SHOWN_PROBLEMS) and len("; ".join(problems[: shown + 1])) <= MAX_ERROR - 20:
        shown += 1
    error = "; ".join(problems[:shown])
    if len(error) > MAX_ERROR - 20:
        error = error[: MAX_ERROR - 21] + "…"
    return error if shown == len(problems) else f"{error}; and {len(problems) - shown} more"


def _failed_status(job: JobView, problems: list[str], now: str) -> Json:
    error = summarize_problems(problems)
    return {
        "phase": "FAIL",
        "run": 1,
        "observedRestarts": _restarts(job),
        "error": error,
        "completionTime": now,
        "observedGeneration": _spec_generation(job),
        "conditions": [
            _condition(job, ConditionType.VALID, "False", Reason.INVALID, error, now),
            _condition(job, ConditionType.FAILED, "True", Reason.INVALID, error, now),
        ],
    }


def _condition(job: JobView, kind: ConditionType, status: str, reason: Reason, message: str, now: str) -> Json:
    return {
        "type": kind.value,
        "status": status,
        "reason": reason.value,
        "message": message,
        "lastTransitionTime": now,
        "observedGeneration": _spec_generation(job),
    }


def _spec_generation(job: JobView) -> int:
    return int(job.document["metadata"].get("generation") or 1)


def _restarts(job: JobView) -> int:
    restarts = (job.document.get("spec") or {}).get("restarts")
    return restarts if isinstance(restarts, int) else 0
