"""Replace the Kubernetes Job that runs the workers if it has ended, or is gone, before the job is done.

Not all workers exit with 0 before the job is over (`kubemr.worker.scheduling.scale_down`).
So a Kubernetes Job that ended early has used up its pod failures.
If a worker ever acquired its Lease, the cause may be temporary: the operator starts another generation, a few times.
If none did, no later pod will do better: the job fails with the messages of its pods.
Kubernetes itself gives up only after hours, with pauses of ten minutes.
The operator does not wait that long when enough pods have failed and none runs.
"""

from __future__ import annotations

from typing import Final

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.job_lock import still_holds_lock
from kubemr.controller.reconcile.objects import builders
from kubemr.controller.reconcile.objects.create import ensure
from kubemr.controller.reconcile.objects.delete import run_of
from kubemr.controller.reconcile.status.events import event
from kubemr.controller.reconcile.workers.pod_problems import termination_message
from kubemr.controller.reconcile.workers.scale import ensure_leases
from kubemr.coordination import names
from kubemr.coordination.advance import fail
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import KUBERNETES_JOBS, PODS
from kubemr.coordination.pagination import list_all
from kubemr.locks.conditional import Target, read
from kubemr.locks.effects import Do, Json, Op
from kubemr.locks.lease import LEASES
from kubemr.reasons import Reason

MAX_GENERATIONS: Final = 4


def ensure_worker_job(job: JobView, context: ReconcileContext) -> Op[None]:
    """Start the next generation if the latest has ended, or fail the job."""
    now_string = context.settings.now_string
    cached = latest_worker_job(job, context)
    if cached is None:
        yield from _recreate(job, context)
        return
    if end_reason(cached) is None:
        yield from _fail_if_hopeless(job, cached, context)
        return
    generation = _generation_of(cached)
    latest: Json = yield from read(Target(KUBERNETES_JOBS, job.namespace, names.workers(job.base, generation)))
    why = end_reason(latest) if latest is not None else None
    if why is None or not (yield from still_holds_lock(job, context)):
        return
    if not (yield from _any_worker_started(job)):
        yield from _fail_never_started(job, context, why)
        return
    if generation + 1 >= MAX_GENERATIONS:
        termination = yield from _termination_messages(job)
        message = f"the workers ended {MAX_GENERATIONS} times before the job was done: {termination or why}"
        yield from fail(job, message, now_string, Reason.WORKERS_FAILED)
        return
    yield from _start(job, generation + 1, context, why)


def _fail_if_hopeless(job: JobView, cached: Json, context: ReconcileContext) -> Op[None]:
    """Fail the job if no worker ever acquired its Lease and many pods have failed.

    Many are twice as many as there are workers, and at least `maxAttempts`.
    """
    status = cached.get("status") or {}
    failed = int(status.get("failed") or 0)
    if status.get("ready") or failed < max(job.max_attempts, 2 * job.replicas):
        return
    if (yield from _any_worker_started(job)) or not (yield from still_holds_lock(job, context)):
        return
    yield from _fail_never_started(job, context, f"{failed} pods have failed")


def _fail_never_started(job: JobView, context: ReconcileContext, why: str) -> Op[None]:
    termination = yield from _termination_messages(job)
    cause = f"no worker ever started its work: {termination or why}"
    yield from fail(job, cause, context.settings.now_string, Reason.WORKERS_FAILED)


def latest_worker_job(job: JobView, context: ReconcileContext) -> Json:
    """Return the run's latest Kubernetes Job in the cache, or None."""
    cached = [item for item in context.cache.worker_jobs(job.uid) if run_of(item) == job.run]
    return max(cached, key=_generation_of, default=None)


def _recreate(job: JobView, context: ReconcileContext) -> Op[None]:
    """Create the Kubernetes Job again if it was deleted, because without it no worker would return."""
    there = yield from list_all(KUBERNETES_JOBS, job.namespace, names.selector(job.uid, job.run), limit=1)
    if there.items or not (yield from still_holds_lock(job, context)):
        return
    yield from _start(job, 0, context, "their Kubernetes Job was deleted")


def _start(job: JobView, generation: int, context: ReconcileContext, why: str) -> Op[None]:
    storage = yield Do(lambda: context.settings.storage(job.document), "storage settings")
    yield from ensure_leases(job, context)  # There may be more workers than before.
    body = builders.workers(job, generation, storage)
    yield from ensure(job, KUBERNETES_JOBS, body)
    now: str = yield Do(context.settings.now_string, "wall clock")
    yield from event(job, Reason.WORKERS_RESTARTED, f"the workers ended before the job was done: {why}", now)


def end_reason(document: Json) -> str | None:
    """Return why a Kubernetes Job has ended, or None if it has not."""
    for condition in (document.get("status") or {}).get("conditions") or []:
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return str(condition.get("message") or condition.get("reason") or condition["type"])
    return None


def _generation_of(document: Json) -> int:
    return int((document["metadata"].get("labels") or {}).get(builders.LABEL_GENERATION) or 0)


def _any_worker_started(job: JobView) -> Op[bool]:
    """Return True if some worker of this run has held its Lease."""
    leases = yield from list_all(LEASES, job.namespace, names.selector(job.uid, job.run))
    return any((lease.get("spec") or {}).get("leaseTransitions") for lease in leases.items)


def _termination_messages(job: JobView) -> Op[str]:
    """Return the termination message of the pod that failed last."""
    pods = yield from list_all(PODS, job.namespace, names.selector(job.uid, job.run))
    return termination_message(pods.items)
