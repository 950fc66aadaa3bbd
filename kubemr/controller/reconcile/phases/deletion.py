"""A job is being deleted: delete its pods, then its stored objects, then its other children, then its finalizer.

The order matters, because a pod that still runs would write objects after the prefix was deleted.

The children have an ownerReference, so Kubernetes' garbage collector would delete them too.
But its informers wait for up to a minute after an apiserver was away, and some clusters run without it.
(client-go's reflector backs off from 0.8 s to 30 s, with a jitter of as much again.)
So the operator relies on the garbage collector only for what a paused operator creates in the middle of a deployment.

A deadline limits how long pods that do not end, or a store that does not answer, delay the deletion.
After it the job is released, an Event names the prefix, and a sweep deletes the objects later
(`kubemr.controller.reconcile.storage.orphaned_prefixes`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog
from attr import evolve

from kubemr.controller.reconcile.context import FINALIZER, WAIT_FOR_EVENT, ReconcileContext, Result
from kubemr.controller.reconcile.job_lock import patch_job
from kubemr.controller.reconcile.objects import rbac
from kubemr.controller.reconcile.objects.delete import remove_all, remove_named
from kubemr.controller.reconcile.status.events import event
from kubemr.controller.reconcile.storage.job_store import open_job_store
from kubemr.controller.reconcile.storage.orphaned_prefixes import record_orphaned_prefix
from kubemr.controller.reconcile.workers.stuck_pods import POD_POLL_SECONDS, force_delete_stuck_pods
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import CONFIG_MAPS, KUBERNETES_JOBS, PODS, SECRETS
from kubemr.coordination.pagination import list_all
from kubemr.locks.conditional import RequestRefusedError
from kubemr.locks.effects import Do, Json, Op
from kubemr.locks.lease import LEASES
from kubemr.locks.patch import Patch
from kubemr.reasons import Reason
from kubemr.tasks.shard import SHARDS

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LONGEST_RETRY_SECONDS: Final = 60.0
UNSWEPT: Final = "unswept_prefixes"


def delete(document: Json, context: ReconcileContext) -> Op[Result]:
    """Take the next step of the deletion."""
    job = JobView.of(document)
    context.cleaned.pop((job.uid, job.run), None)
    if FINALIZER not in (document["metadata"].get("finalizers") or []):
        return WAIT_FOR_EVENT
    yield from remove_all(job, KUBERNETES_JOBS)
    now: str = yield Do(context.settings.now_string, "wall clock")
    requested_at = document["metadata"]["deletionTimestamp"]
    passed = (datetime.fromisoformat(now) - datetime.fromisoformat(requested_at)).total_seconds()
    late = passed >= context.settings.deletion_seconds
    pods = yield from list_all(PODS, job.namespace, names.selector(job.uid))
    yield from force_delete_stuck_pods(job, pods.items, context)
    if pods.items and not late:
        return Result(POD_POLL_SECONDS)
    problem = ""
    if _may_have_written(job):
        problem = yield from _clear(job, context)
        if pods.items:  # The pods may still write.
            problem = problem or f"pods that do not end, e.g. {pods.items[0]['metadata']['name']}"
    if problem and not late:
        yield from event(job, Reason.STORAGE_CLEANUP_FAILED, f"{problem}; the operator tries again", requested_at)
        left = context.settings.deletion_seconds - passed
        # Each wait is half of the time that has passed: an exponential back-off without state to lose at a restart.
        return Result(min(max(passed / 2, POD_POLL_SECONDS), LONGEST_RETRY_SECONDS, max(left, POD_POLL_SECONDS)))
    if problem:
        yield from record_orphaned_prefix(job, context)
    try:
        yield from _remove_children(job)
    except RequestRefusedError as refused:
        if not late:
            raise  # The error is logged, and the step is tried again with back-off.
        log.warning("children_cleanup_failed", job=job.name, namespace=job.namespace, error=str(refused))
    if (yield from _release(job)) and problem:
        context.counters[UNSWEPT] += 1
        message = (
            f"released with objects left below {job.storage_prefix}: {problem}; "
            f"the operators try to remove them every {context.settings.sweep_seconds:g} seconds"
        )
        yield from event(job, Reason.STORAGE_ORPHANED, message, requested_at)
    context.forget(job.uid)
    return WAIT_FOR_EVENT


def _may_have_written(job: JobView) -> bool:
    """Return True if workers may have stored objects: they do so only while they read the phase DEPLOYED."""
    return job.run > 1 or job.phase not in ("", "PENDING", "DEPLOYING")


def _clear(job: JobView, context: ReconcileContext) -> Op[str]:
    """Delete all that the job stored, and return what prevents it; empty if nothing does."""
    try:
        store = yield from open_job_store(job, context)
        yield Do(lambda: store.delete_prefix(job.storage_prefix), "delete prefix")
    except Exception as error:  # Any error: an Event reports it, and the operator tries again until the deadline.
        return f"the job's objects cannot be removed: {error}"
    return ""


def _remove_children(job: JobView) -> Op[None]:
    """Delete the children of all runs, by name if the operator may not list them; the ConfigMap of settings last."""
    for resource in (LEASES, SHARDS):
        yield from remove_all(job, resource)
    for run in range(1, job.run + 1):
        earlier = evolve(job, run=run)
        yield from remove_named(earlier, SECRETS, names.secret(earlier.base))
        yield from rbac.revoke(earlier)
    yield from remove_all(job, CONFIG_MAPS)


def _release(job: JobView) -> Op[bool]:
    """Remove the finalizer from the job that was reconciled: in a later phase there may be more to delete."""
    finalizers = job.document["metadata"]["finalizers"]
    left = [each for each in finalizers if each != FINALIZER]
    patch = Patch().test("/metadata/uid", job.uid).test("/metadata/finalizers", finalizers)
    patch = patch.test("/status/phase", job.phase) if job.phase else patch.test("/status", None)
    patch = patch.replace("/metadata/finalizers", left)
    patched = yield from patch_job(
        job.target, patch, lambda seen: FINALIZER not in (seen["metadata"].get("finalizers") or [])
    )
    return patched is not None
