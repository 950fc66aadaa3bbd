"""A new job: validate it, and mark it PENDING, or FAIL with the reasons.

Any operator may do it: the patch tests that there is no status yet.  A valid job gets the finalizer
first, before anything exists that would have to be cleaned up.
"""

from __future__ import annotations

from kubemr.controller.reconcile.context import DONE, FINALIZER, After, Operator
from kubemr.controller.reconcile.events import event
from kubemr.controller.reconcile.patching import patch_job
from kubemr.coordination.advance import MAX_ERROR
from kubemr.coordination.job import JobView
from kubemr.locks.patch import Patch
from kubemr.locks.request import Do, Json, Op
from kubemr.resources import validate

SHOWN_PROBLEMS = 10


def accept(document: Json, operator: Operator) -> Op[After]:
    """PENDING or FAIL."""
    job = JobView.of(document)
    problems = [str(problem) for problem in validate(document)]
    if not problems:
        try:
            yield Do(lambda: operator.settings.storage(document), "storage settings")
        except ValueError as error:
            problems = [str(error)]
    if not problems and not (yield from _guarded(job)):
        return DONE
    now: str = yield Do(operator.settings.stamp, "wall clock")
    status = _failed(job, problems, now) if problems else _pending(job, now)
    # The status is tested as a whole: a path below one that does not exist leads nowhere, and fails.
    patch = Patch().test("/metadata/uid", job.uid).test("/status", document.get("status")).add("/status", status)
    phase = status["phase"]
    marked = yield from patch_job(job.status, patch, lambda seen: JobView.of(seen).phase == phase)
    if marked is not None:
        if problems:
            yield from event(marked, "Warning", "Invalid", status["error"], now)
        else:
            yield from event(marked, "Normal", "Accepted", "the job is valid", now)
    return DONE


def _guarded(job: JobView) -> Op[bool]:
    """Put the finalizer on the job; False when the job changed meanwhile and is to be looked at again."""
    finalizers = job.document["metadata"].get("finalizers") or []
    if FINALIZER in finalizers:
        return True
    wanted = [*finalizers, FINALIZER]
    patch = Patch().test("/metadata/uid", job.uid).test("/metadata/finalizers", finalizers or None)
    patch = patch.add("/metadata/finalizers", wanted)
    marked = yield from patch_job(job.target, patch, patch.shows)
    return marked is not None


def _pending(job: JobView, now: str) -> Json:
    return {
        "phase": "PENDING",
        "run": 1,
        "observedGeneration": _generation(job),
        "conditions": [_condition(job, "True", "Valid", "the spec is valid", now)],
    }


def summary(problems: list[str]) -> str:
    """The first problems, each of them whole as long as they fit, and how many more there are."""
    shown = 1
    while shown < min(len(problems), SHOWN_PROBLEMS) and len("; ".join(problems[: shown + 1])) <= MAX_ERROR - 20:
        shown += 1
    error = "; ".join(problems[:shown])
    if len(error) > MAX_ERROR - 20:
        error = error[: MAX_ERROR - 21] + "…"
    return error if shown == len(problems) else f"{error}; and {len(problems) - shown} more"


def _failed(job: JobView, problems: list[str], now: str) -> Json:
    error = summary(problems)
    return {
        "phase": "FAIL",
        "run": 1,
        "error": error,
        "completionTime": now,
        "observedGeneration": _generation(job),
        "conditions": [
            _condition(job, "False", "Invalid", error, now),
            {**_condition(job, "True", "Invalid", error, now), "type": "Failed"},
        ],
    }


def _condition(job: JobView, status: str, reason: str, message: str, now: str) -> Json:
    return {
        "type": "Valid",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": now,
        "observedGeneration": _generation(job),
    }


def _generation(job: JobView) -> int:
    return int(job.document["metadata"].get("generation") or 1)
