"""The spec changes while the job runs: the Kubernetes Job follows `replicas` and `suspend`.

New workers' Leases are made before their pods may be.  What differs is worked out by `jsonpatch` and sent under a test
of every value that it replaces, so a look that is out of date changes nothing.

Others suspend Kubernetes Jobs too (Kueue, until there is room).  So only a Job that carries our own mark is resumed
by us; one that somebody else suspended is left alone, and is neither stuck nor failed.
"""

from __future__ import annotations

import copy
from typing import Final

from jsonpatch import make_patch

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.job_lock import guard
from kubemr.controller.reconcile.objects import builders, rbac
from kubemr.controller.reconcile.objects.create import ensure
from kubemr.controller.reconcile.status.events import event
from kubemr.controller.reconcile.status.patch import patch_job
from kubemr.coordination.advance import condition
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import KUBERNETES_JOBS
from kubemr.locks.conditional import PatchStatus, RequestRefusedError, Target, apply
from kubemr.locks.effects import Do, Json, Op
from kubemr.locks.lease import LEASES
from kubemr.locks.patch import MISSING, Patch, lookup

SUSPENDED: Final = "Suspended"


def sync_worker_job(job: JobView, latest: Json, context: ReconcileContext) -> Op[bool]:
    """Bring the Kubernetes Job, and what the status says of it, up to date; True when something had to be done."""
    changes = _changes(latest, job)
    if len(changes):
        yield from ensure_leases(job, context, int(latest["spec"].get("completions") or 0))
        target = Target(KUBERNETES_JOBS, job.namespace, latest["metadata"]["name"])
        outcome = yield from apply(target, changes, changes.shows)
        if outcome.status is PatchStatus.REFUSED:
            raise RequestRefusedError(f"changing {target}", outcome.answer)
        if outcome.won:
            yield from _report(job, latest, context)
        return True
    return (yield from _record(job, latest, context))


def ensure_leases(job: JobView, context: ReconcileContext, first: int = 0) -> Op[None]:
    """The Leases of the workers from number `first` on, and the right to them."""
    if first < job.replicas:
        yield from rbac.grant(job)  # A worker without a right to its Lease would give up.
    for index in range(first, job.replicas):
        yield from ensure(job, LEASES, builders.lease(job, index, context.settings.lease_seconds))


def suspended(latest: Json) -> bool:
    """Whoever did it."""
    return bool(latest["spec"].get("suspend"))


def _changes(latest: Json, job: JobView) -> Patch:
    wanted = copy.deepcopy(latest)
    spec, annotations = wanted["spec"], wanted["metadata"].setdefault("annotations", {})
    spec.update(builders.size(job))
    if (job.document.get("spec") or {}).get("suspend"):
        if not suspended(latest):
            spec["suspend"] = True
            annotations[builders.SUSPENDED_BY_US] = "true"
    elif annotations.pop(builders.SUSPENDED_BY_US, None):
        spec["suspend"] = False
    if not annotations and "annotations" not in latest["metadata"]:
        del wanted["metadata"]["annotations"]
    patch = Patch().test("/metadata/uid", latest["metadata"]["uid"])
    operations = tuple(make_patch(latest, wanted).patch)
    if not operations:
        return Patch()
    for operation in operations:
        found = lookup(latest, operation["path"])
        patch = patch.test(operation["path"], None if found is MISSING else found)
    return patch + Patch(operations)


def _report(job: JobView, latest: Json, context: ReconcileContext) -> Op[None]:
    now: str = yield Do(context.settings.now_string, "wall clock")
    before = int(latest["spec"].get("completions") or 0)
    if before != job.replicas:
        yield from event(job, "Normal", "Scaled", f"from {before} to {job.replicas} workers", now)


def _record(job: JobView, latest: Json, context: ReconcileContext) -> Op[bool]:
    """The condition `Suspended` and `status.replicas`.  Time begins anew when a job is resumed, as in Kubernetes."""
    status = job.document["status"]
    now_suspended = suspended(latest)
    was = any(each["type"] == SUSPENDED and each["status"] == "True" for each in status.get("conditions") or [])
    replicas = 0 if now_suspended else job.replicas
    if was == now_suspended and status.get("replicas") == replicas:
        return False
    now: str = yield Do(context.settings.now_string, "wall clock")
    patch = guard(job).add("/status/replicas", replicas)
    reason, message = "", ""
    if was != now_suspended:
        reason, message = _why(job, latest)
        state = "True" if now_suspended else "False"
        patch += condition(job, SUSPENDED, reason, message, now, status=state)
        if was:
            patch = patch.add("/status/startTime", now)
    marked = yield from patch_job(job.status, patch, patch.shows)
    if marked is not None and reason:
        yield from event(marked, "Normal", reason, message, now)
    return True


def _why(job: JobView, latest: Json) -> tuple[str, str]:
    name = latest["metadata"]["name"]
    if not suspended(latest):
        return "Resumed", "the workers may run"
    if (job.document.get("spec") or {}).get("suspend"):
        return "Suspended", "spec.suspend is true: there are no pods until it is false"
    return "SuspendedElsewhere", f"the Kubernetes Job {name} is suspended by somebody else, e.g. a queue (Kueue)"
