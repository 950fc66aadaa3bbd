"""`restarts` was raised on a job that FAILed: another run of it, in which only what was not committed runs again.

The shards of the run that failed are kept; those of the next are made from them (`carried`).  Epochs go on rising, so
an attempt names one piece of work whatever the run, and what was committed stays where it is in storage.
"""

from __future__ import annotations

from kubemr.controller.reconcile.accept import accepted, problems_of
from kubemr.controller.reconcile.context import DONE, After, Operator
from kubemr.controller.reconcile.events import event
from kubemr.controller.reconcile.finished import POD_POLL_SECONDS, clean, policy_of
from kubemr.controller.reconcile.patching import patch_job
from kubemr.coordination.job import JobView
from kubemr.locks.patch import Patch
from kubemr.locks.request import Do, Json, Op


def wanted(job: JobView) -> bool:
    """The user asks for another run of a job that failed."""
    status = job.document.get("status") or {}
    return job.phase == "FAIL" and restarts_of(job.document) > int(status.get("observedRestarts") or 0)


def restarts_of(document: Json) -> int:
    """`spec.restarts`."""
    return int((document.get("spec") or {}).get("restarts") or 0)


def retry(document: Json, operator: Operator) -> Op[After]:
    """Any operator may: the next run begins with one conditional patch, after the last one has been cleared away."""
    job = JobView.of(document)
    now: str = yield Do(operator.settings.stamp, "wall clock")
    problems = yield from problems_of(document, operator)
    if policy_of(job) == "None":
        problems = ["spec.storage.retentionPolicy: 'None': nothing is left to go on from; create a new job"]
    if problems:
        patch = _guard(job).add("/status/observedRestarts", restarts_of(document))
        marked = yield from patch_job(job.status, patch, patch.shows)
        if marked is not None:
            yield from event(marked, "Warning", "NotRetried", "; ".join(problems), now)
        return DONE
    if job.stages and not (yield from clean(job, operator, patient=True, news=False)):
        return After(POD_POLL_SECONDS)
    run = job.run + 1
    marked = yield from accepted(job, run, now)
    if marked is not None:
        yield from event(marked, "Normal", "Retried", f"run {run}: what was committed is kept", now)
    return DONE


def _guard(job: JobView) -> Patch:
    return Patch().test("/metadata/uid", job.uid).test("/status/run", job.run).test("/status/phase", job.phase)
