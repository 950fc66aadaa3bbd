"""A deleted job: remove its pods first, then what it stored, then its other children, then the finalizer.

In this order, because a pod that still runs would write objects after the prefix was cleared.

The children have an ownerReference, so Kubernetes' garbage collector would remove them too.  But its informers wait up
to a minute after an apiserver was away (client-go's reflector backs off from 0.8 s to 30 s, with a jitter of as much
again), and some clusters run without it.  So the operator does not rely on it: the garbage collector is for what an
operator creates that was paused in the middle of a deployment.

Neither pods that do not end nor a store that does not answer hold the job for ever: after a deadline it is released,
an Event names the prefix, and a sweep removes it later (`kubemr.controller.reconcile.storage.orphaned_prefixes`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog
from attr import evolve

from kubemr.controller.reconcile.context import FINALIZER, WAIT_FOR_EVENT, ReconcileContext, Result
from kubemr.controller.reconcile.objects import rbac
from kubemr.controller.reconcile.objects.delete import remove_all, remove_named
from kubemr.controller.reconcile.status.events import event
from kubemr.controller.reconcile.status.patch import patch_job
from kubemr.controller.reconcile.storage.job_store import open_store
from kubemr.controller.reconcile.storage.orphaned_prefixes import record
from kubemr.controller.reconcile.workers.stuck_pods import force_delete_stuck_pods
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import CONFIG_MAPS, KUBERNETES_JOBS, PODS, SECRETS
from kubemr.coordination.pagination import list_all
from kubemr.locks.conditional import RequestRefusedError
from kubemr.locks.effects import Do, Json, Op
from kubemr.locks.lease import LEASES
from kubemr.locks.patch import Patch
from kubemr.tasks.shard import SHARDS

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

POD_POLL_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 60.0
UNSWEPT: Final = "unswept_prefixes"


def delete(document: Json, context: ReconcileContext) -> Op[Result]:
    """One look at a job with a deletionTimestamp."""
    job = JobView.of(document)
    context.cleaned.pop((job.uid, job.run), None)
    if FINALIZER not in (document["metadata"].get("finalizers") or []):
        return WAIT_FOR_EVENT
    yield from remove_all(job, KUBERNETES_JOBS)
    now: str = yield Do(context.settings.now_string, "wall clock")
    asked = document["metadata"]["deletionTimestamp"]
    passed = (datetime.fromisoformat(now) - datetime.fromisoformat(asked)).total_seconds()
    late = passed >= context.settings.deletion_seconds
    pods = yield from list_all(PODS, job.namespace, names.selector(job.uid))
    yield from force_delete_stuck_pods(job, pods.items, context)
    if pods.items and not late:
        return Result(POD_POLL_SECONDS)
    problem = ""
    if _may_have_written(job):
        problem = yield from _clear(job, context)
        if pods.items:  # They may still write.
            problem = problem or f"pods that do not end, e.g. {pods.items[0]['metadata']['name']}"
    if problem and not late:
        yield from event(job, "Warning", "StorageNotCleared", f"{problem}; it is tried again", asked)
        left = context.settings.deletion_seconds - passed
        # Each wait is half of the time that has passed: an exponential back-off that no restart forgets.
        return Result(min(max(passed / 2, POD_POLL_SECONDS), LONGEST_RETRY_SECONDS, max(left, POD_POLL_SECONDS)))
    if problem:
        yield from record(job, context)
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
        yield from event(job, "Warning", "StorageLeft", message, asked)
    context.forget(job.uid)
    return WAIT_FOR_EVENT


def _may_have_written(job: JobView) -> bool:
    """Workers write only while they read the phase DEPLOYED."""
    return job.run > 1 or job.phase not in ("", "PENDING", "DEPLOYING")


def _clear(job: JobView, context: ReconcileContext) -> Op[str]:
    """Remove all that the job stored; tells what is in the way."""
    try:
        store = yield from open_store(job, context)
        yield Do(lambda: store.delete_prefix(job.storage_prefix), "delete prefix")
    except Exception as error:  # Whatever it is: people are told, it is tried again, and the deadline bounds it.
        return f"the job's objects cannot be removed: {error}"
    return ""


def _remove_children(job: JobView) -> Op[None]:
    """Delete the children of all runs.  By name where the operator may not list; the ConfigMap of settings last."""
    for resource in (LEASES, SHARDS):
        yield from remove_all(job, resource)
    for run in range(1, job.run + 1):
        earlier = evolve(job, run=run)
        yield from remove_named(earlier, SECRETS, names.secret(earlier.base))
        yield from rbac.revoke(earlier)
    yield from remove_all(job, CONFIG_MAPS)


def _release(job: JobView) -> Op[bool]:
    """Take the finalizer off the job that was looked at: a phase later there may be more to clear."""
    finalizers = job.document["metadata"]["finalizers"]
    left = [each for each in finalizers if each != FINALIZER]
    patch = Patch().test("/metadata/uid", job.uid).test("/metadata/finalizers", finalizers)
    patch = patch.test("/status/phase", job.phase) if job.phase else patch.test("/status", None)
    patch = patch.replace("/metadata/finalizers", left)
    marked = yield from patch_job(
        job.target, patch, lambda seen: FINALIZER not in (seen["metadata"].get("finalizers") or [])
    )
    return marked is not None
