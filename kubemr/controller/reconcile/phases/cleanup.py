"""COMPLETE or FAIL: delete what the run no longer needs, and the job itself when its time to live is over.

The ConfigMap is deleted last: while it exists, the run is not cleaned up, and every operator continues.
Two kinds of objects may still appear afterwards:

- what an operator creates that was paused in the middle of the deployment;
- what a request creates that the apiserver carries out late.

So every operator checks once more, a while after it first found nothing.
It also checks again when it finds itself creating objects for a job that is over.
After that a finished job costs one read of the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from attr import evolve

from kubemr.controller.reconcile.context import WAIT_FOR_EVENT, ReconcileContext, Result
from kubemr.controller.reconcile.objects import rbac
from kubemr.controller.reconcile.objects.delete import remove, remove_all, remove_named, run_of
from kubemr.controller.reconcile.shards.summary import ShardSummary
from kubemr.controller.reconcile.status.events import event
from kubemr.controller.reconcile.storage.job_store import open_job_store
from kubemr.controller.reconcile.workers.stuck_pods import POD_POLL_SECONDS, force_delete_stuck_pods
from kubemr.coordination import names
from kubemr.coordination.attempt_records import is_record
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import CONFIG_MAPS, KUBERNETES_JOBS, PODS, SECRETS
from kubemr.coordination.pagination import list_all
from kubemr.locks.conditional import Target, read
from kubemr.locks.effects import Do, Json, Now, Op
from kubemr.locks.lease import LEASES
from kubemr.reasons import Reason
from kubemr.tasks.shard import SHARDS

SETTLE_SECONDS: Final = 90.0
"""Longer than an apiserver takes for any request (its --request-timeout is 60 s)."""


def clean_up(document: Json, context: ReconcileContext) -> Op[Result]:
    """Clean up after a finished run.  Any operator may do it."""
    job = JobView.of(document)
    context.memory(job.uid).liveness = None
    key = (job.uid, job.run)
    now: float = yield Now()
    is_new = key not in context.cleaned
    first = context.cleaned.setdefault(key, now)
    settled = first == float("inf")
    left = any(run_of(item) <= job.run for item in context.cache.worker_jobs(job.uid))
    if not settled or left or _superseded(job, context.cache.shards(job.uid)):
        waits = now - first < SETTLE_SECONDS
        if (yield from delete_children(job, context, wait_for_pods=waits, emit_event=is_new)):
            return Result(POD_POLL_SECONDS)
        if not waits:
            context.cleaned[key] = float("inf")
    expiry = yield from _expire(job, context)
    if context.cleaned.get(key) != float("inf"):
        return Result(min(SETTLE_SECONDS, SETTLE_SECONDS if expiry.requeue_after is None else expiry.requeue_after))
    return expiry


def _superseded(job: JobView, shards: Sequence[ShardSummary]) -> bool:
    """Return True if there are shards that no run needs any more; those of a failed run are needed for a retry."""
    keeps = job.phase == "FAIL" and policy_of(job) != "None"
    return any(each.run <= job.run - keeps for each in shards)


def delete_children(
    job: JobView, context: ReconcileContext, *, wait_for_pods: bool, emit_event: bool
) -> Op[list[Json]]:
    """Delete the run's children, and return the pods that are left.

    Such pods may still write, and what they write after a prefix was deleted would stay.
    Call it every second or two: pods on a node that does not answer are deleted by force.
    """
    for resource in (KUBERNETES_JOBS, LEASES):
        yield from remove_all(job, resource, up_to=job.run)
    yield from remove_named(job, SECRETS, names.secret(job.base))
    settings: Json = yield from read(Target(CONFIG_MAPS, job.namespace, names.config_map(job.base)))
    if settings is not None:
        if emit_event:
            yield from emit_final_event(job)
        if wait_for_pods:
            pods = yield from list_all(PODS, job.namespace, names.selector(job.uid))
            yield from force_delete_stuck_pods(job, pods.items, context)
            if pods.items:
                return pods.items
    keeps = job.phase == "FAIL" and policy_of(job) != "None"
    # Not earlier: a late request could create a shard again, and a worker would repeat its tasks.
    yield from remove_all(job, SHARDS, up_to=job.run - keeps)
    if settings is not None:
        keeps_records = None if policy_of(job) == "None" else is_record
        prefixes = prefixes_to_delete(job)
        if prefixes:
            store = yield from open_job_store(job, context)
            for prefix in prefixes:
                yield Do(partial(store.delete_prefix, prefix, keeps_records), "retention")
    yield from rbac.revoke(job)  # Not earlier: workers that still ran had to read that the job is over.
    if not wait_for_pods:
        yield from _delete_late_children(job)
    if settings is not None or not wait_for_pods:
        yield from remove_all(job, CONFIG_MAPS, up_to=job.run)
    return []


def _delete_late_children(job: JobView) -> Op[None]:
    """Delete children of earlier runs that the operator may not list, and that a late request may have created."""
    for run in range(1, job.run):
        earlier = evolve(job, run=run)
        yield from remove_named(earlier, SECRETS, names.secret(earlier.base))
        yield from rbac.revoke(earlier)


def policy_of(job: JobView) -> str:
    """Return `spec.storage.retentionPolicy`."""
    return str(((job.document.get("spec") or {}).get("storage") or {}).get("retentionPolicy", "Results"))


def emit_final_event(job: JobView) -> Op[None]:
    """Emit the Event of the job's end.

    Its name follows from the job alone, so there is one Event however many operators emit it.
    """
    status = job.document.get("status") or {}
    when = str(status.get("completionTime") or "")
    if job.phase == "FAIL":
        yield from event(job, Reason.FAILED, str(status.get("error") or "the job failed"), when)
    else:
        yield from event(job, Reason.COMPLETE, f"{status.get('resultCount', 0)} results", when)


def prefixes_to_delete(job: JobView) -> list[str]:
    """Return the prefixes of a finished run below which `storage.retentionPolicy` keeps nothing, or only records."""
    policy = policy_of(job)
    if policy == "All" or not job.stages:
        return []
    if policy == "None":
        return [job.storage_prefix]
    if job.phase == "FAIL":
        return []  # A retry needs what was committed, and the errors say why the run failed.
    stages = [names.stage_prefix(job.storage_prefix, stage.step, stage.name) for stage in job.stages[:-1]]
    return stages if job.inputs is None else [*stages, names.inputs_prefix(job.storage_prefix)]


def _expire(job: JobView, context: ReconcileContext) -> Op[Result]:
    seconds = (job.document.get("spec") or {}).get("ttlSecondsAfterFinished")
    ended = (job.document.get("status") or {}).get("completionTime")
    if seconds is None or ended is None:
        return WAIT_FOR_EVENT
    now: str = yield Do(context.settings.now_string, "wall clock")
    left = datetime.fromisoformat(ended) + timedelta(seconds=seconds) - datetime.fromisoformat(now)
    if left > timedelta():
        return Result(left.total_seconds())
    yield from remove(names.JOBS, job.document, unchanged=True)  # The job may have been retried since.
    return WAIT_FOR_EVENT
