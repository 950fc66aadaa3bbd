"""The Kubernetes Job that runs the workers has ended, or is gone, and ours has not ended: what now?

Not all workers exit with 0 before the job is over (`kubemr.worker.scheduling.scale_down`), so a Kubernetes Job that
ended early has used up its pod failures.  If a worker ever got as far as taking its Lease, the cause may pass: another
generation is started, a few times.  If none did, no pod will ever do better: the job fails with what the pods said.
Kubernetes itself gives up after hours, with pauses of ten minutes: enough pods have failed and none runs.
"""

from __future__ import annotations

from typing import Final

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.job_lock import still_holds_lock
from kubemr.controller.reconcile.objects import builders
from kubemr.controller.reconcile.objects.create import ensure
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

MAX_GENERATIONS: Final = 4


def ensure_worker_job(job: JobView, context: ReconcileContext) -> Op[None]:
    """Start the next generation if the latest has ended, or fail the job."""
    stamp = context.settings.now_string
    cached = latest_workers(job, context)
    if cached is None:
        yield from _recreate(job, context)
        return
    if ended(cached) is None:
        yield from _fail_if_hopeless(job, cached, context)
        return
    generation = _generation(cached)
    latest: Json = yield from read(Target(KUBERNETES_JOBS, job.namespace, names.workers(job.base, generation)))
    why = ended(latest) if latest is not None else None
    if why is None or not (yield from still_holds_lock(job, context)):
        return
    if not (yield from _ever_started(job)):
        yield from _never_started(job, context, why)
        return
    if generation + 1 >= MAX_GENERATIONS:
        said = yield from _termination_messages(job)
        message = f"the workers ended {MAX_GENERATIONS} times before the job was done: {said or why}"
        yield from fail(job, message, stamp, "WorkersFailed")
        return
    yield from _start(job, generation + 1, context, why)


def _fail_if_hopeless(job: JobView, cached: Json, context: ReconcileContext) -> Op[None]:
    """Twice as many pods as workers have failed, `maxAttempts` at least, and no worker ever took its Lease."""
    status = cached.get("status") or {}
    failed = int(status.get("failed") or 0)
    if status.get("ready") or failed < max(job.max_attempts, 2 * job.replicas):
        return
    if (yield from _ever_started(job)) or not (yield from still_holds_lock(job, context)):
        return
    yield from _never_started(job, context, f"{failed} pods have failed")


def _never_started(job: JobView, context: ReconcileContext, why: str) -> Op[None]:
    said = yield from _termination_messages(job)
    cause = f"no worker ever started its work: {said or why}"
    yield from fail(job, cause, context.settings.now_string, "WorkersFailed")


def latest_workers(job: JobView, context: ReconcileContext) -> Json:
    """The run's latest Kubernetes Job as the cache shows it, or None."""
    cached = [item for item in context.cache.worker_jobs(job.uid) if _run(item) == job.run]
    return max(cached, key=_generation, default=None)


def _recreate(job: JobView, context: ReconcileContext) -> Op[None]:
    """Somebody deleted the Kubernetes Job: without it no worker would ever come back."""
    there = yield from list_all(KUBERNETES_JOBS, job.namespace, names.selector(job.uid, job.run), limit=1)
    if there.items or not (yield from still_holds_lock(job, context)):
        return
    yield from _start(job, 0, context, "their Kubernetes Job was deleted")


def _start(job: JobView, generation: int, context: ReconcileContext, why: str) -> Op[None]:
    storage = yield Do(lambda: context.settings.storage(job.document), "storage settings")
    yield from ensure_leases(job, context)  # There may be more workers than there were.
    body = builders.workers(job, generation, storage)
    yield from ensure(job, KUBERNETES_JOBS, body)
    now: str = yield Do(context.settings.now_string, "wall clock")
    yield from event(job, "Warning", "WorkersRestarted", f"the workers ended before the job was done: {why}", now)


def ended(document: Json) -> str | None:
    """Why a Kubernetes Job has ended, or None when it has not."""
    for condition in (document.get("status") or {}).get("conditions") or []:
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return str(condition.get("message") or condition.get("reason") or condition["type"])
    return None


def _run(document: Json) -> int:
    return int((document["metadata"].get("labels") or {}).get(names.LABEL_RUN) or 0)


def _generation(document: Json) -> int:
    return int((document["metadata"].get("labels") or {}).get(builders.LABEL_GENERATION) or 0)


def _ever_started(job: JobView) -> Op[bool]:
    """True when some worker of this run has held its Lease."""
    leases = yield from list_all(LEASES, job.namespace, names.selector(job.uid, job.run))
    return any((lease.get("spec") or {}).get("leaseTransitions") for lease in leases.items)


def _termination_messages(job: JobView) -> Op[str]:
    """What the pod that ended last left as its termination message."""
    pods = yield from list_all(PODS, job.namespace, names.selector(job.uid, job.run))
    return termination_message(pods.items)
