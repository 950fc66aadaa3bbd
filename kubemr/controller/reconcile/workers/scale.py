"""Apply changes of `replicas` and `suspend` in a running job's spec to the Kubernetes Job.

Leases of new workers are created before their pods can be.
`jsonpatch` computes the differences, and the patch tests every value that it replaces.
So a patch that is computed from outdated state changes nothing.

Other controllers suspend Kubernetes Jobs too (Kueue, until there is room).
So the operator resumes only a Kubernetes Job that carries its own mark.
It leaves alone one that another controller has suspended, and treats it neither as stuck nor as failed.
"""

from __future__ import annotations

import copy

from jsonpatch import make_patch

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.job_lock import guard, patch_job
from kubemr.controller.reconcile.objects import builders, rbac
from kubemr.controller.reconcile.objects.create import ensure
from kubemr.controller.reconcile.status.events import event
from kubemr.coordination.advance import condition
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import KUBERNETES_JOBS
from kubemr.locks.conditional import PatchStatus, RequestRefusedError, Target, apply
from kubemr.locks.effects import Do, Json, Op
from kubemr.locks.lease import LEASES
from kubemr.locks.patch import MISSING, Patch, lookup
from kubemr.reasons import ConditionType, Reason


def sync_worker_job(job: JobView, latest: Json, context: ReconcileContext) -> Op[bool]:
    """Bring the Kubernetes Job, and the job's status about it, up to date; return True if something had to change."""
    changes = _changes(latest, job)
    if len(changes):
        yield from ensure_leases(job, context, int(latest["spec"].get("completions") or 0))
        target = Target(KUBERNETES_JOBS, job.namespace, latest["metadata"]["name"])
        outcome = yield from apply(target, changes, changes.shows)
        if outcome.status is PatchStatus.REFUSED:
            raise RequestRefusedError(f"changing {target}", outcome.answer)
        if outcome.won:
            yield from _emit_scaled(job, latest, context)
        return True
    return (yield from _update_status(job, latest, context))


def ensure_leases(job: JobView, context: ReconcileContext, first: int = 0) -> Op[None]:
    """Create the Leases of the workers from number `first` on, and the permissions for them."""
    if first < job.replicas:
        yield from rbac.grant(job)  # A worker without permission for its Lease would exit.
    for index in range(first, job.replicas):
        yield from ensure(job, LEASES, builders.lease(job, index, context.settings.lease_seconds))


def is_suspended(latest: Json) -> bool:
    """Return True if the Kubernetes Job is suspended, by whichever controller."""
    return bool(latest["spec"].get("suspend"))


def _changes(latest: Json, job: JobView) -> Patch:
    wanted = copy.deepcopy(latest)
    spec, annotations = wanted["spec"], wanted["metadata"].setdefault("annotations", {})
    spec.update(builders.size(job))
    if (job.document.get("spec") or {}).get("suspend"):
        if not is_suspended(latest):
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


def _emit_scaled(job: JobView, latest: Json, context: ReconcileContext) -> Op[None]:
    now: str = yield Do(context.settings.now_string, "wall clock")
    before = int(latest["spec"].get("completions") or 0)
    if before != job.replicas:
        yield from event(job, Reason.SCALED, f"from {before} to {job.replicas} workers", now)


def _update_status(job: JobView, latest: Json, context: ReconcileContext) -> Op[bool]:
    """Set the condition `Suspended` and `status.replicas`; return True if they had to change.

    When a job is resumed its `startTime` is set again, as in Kubernetes.
    """
    status = job.document["status"]
    now_suspended = is_suspended(latest)
    was = any(
        each["type"] == ConditionType.SUSPENDED and each["status"] == "True" for each in status.get("conditions") or []
    )
    replicas = 0 if now_suspended else job.replicas
    if was == now_suspended and status.get("replicas") == replicas:
        return False
    now: str = yield Do(context.settings.now_string, "wall clock")
    patch = guard(job).add("/status/replicas", replicas)
    reason, message = None, ""
    if was != now_suspended:
        reason, message = _suspension_reason(job, latest)
        state = "True" if now_suspended else "False"
        patch += condition(job, ConditionType.SUSPENDED, reason, message, now, status=state)
        if was:
            patch = patch.add("/status/startTime", now)
    patched = yield from patch_job(job.status, patch, patch.shows)
    if patched is not None and reason is not None:
        yield from event(patched, reason, message, now)
    return True


def _suspension_reason(job: JobView, latest: Json) -> tuple[Reason, str]:
    name = latest["metadata"]["name"]
    if not is_suspended(latest):
        return Reason.RESUMED, "the workers may run"
    if (job.document.get("spec") or {}).get("suspend"):
        return Reason.SUSPENDED, "spec.suspend is true: there are no pods until it is false"
    message = f"the Kubernetes Job {name} is suspended by another controller, e.g. a queue (Kueue)"
    return Reason.SUSPENDED_EXTERNALLY, message
