"""DEPLOYED: the workers process the tasks, and the operator does what workers cannot do for themselves.

- It counts the tasks, for people to read, from its cache and at most every two seconds.
- It reclaims the tasks of dead workers, as idle workers do, for the case that no worker is idle.
- It seals a complete stage, for the case that every worker died just then.
- When the Kubernetes Job has ended and the job has not, it creates another Kubernetes Job, or fails the job.
- It reports why the pods do not start, and fails a job whose shards were deleted.
- It applies changes of `replicas` and `suspend` to the Kubernetes Job.
- It enforces `activeDeadlineSeconds`.

As long as its workers live, a job completes without any of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from kubemr.controller.reconcile.context import CleanStore, ReconcileContext, Result
from kubemr.controller.reconcile.job_lock import guard, patch_job
from kubemr.controller.reconcile.shards.missing import fail_if_shards_are_missing
from kubemr.controller.reconcile.shards.summary import ShardSummary, of_stage, total_counts
from kubemr.controller.reconcile.status.blocked import clear_blocked, reason_of, report_blocked
from kubemr.controller.reconcile.storage.job_store import StorageNotReadyError, open_job_store
from kubemr.controller.reconcile.workers.liveness import find_dead
from kubemr.controller.reconcile.workers.pod_problems import check_pods
from kubemr.controller.reconcile.workers.scale import is_suspended, sync_worker_job
from kubemr.controller.reconcile.workers.worker_job import end_reason as workers_ended
from kubemr.controller.reconcile.workers.worker_job import ensure_worker_job, latest_worker_job
from kubemr.coordination.advance import Dependencies, advance, complete, fail
from kubemr.coordination.job_view import JobView
from kubemr.coordination.lost_attempts import Loss, lost_attempts, write_lost_records
from kubemr.coordination.results import Results
from kubemr.coordination.stage_snapshot import take_snapshot
from kubemr.locks.conditional import RequestRefusedError, Target, read
from kubemr.locks.effects import Do, Json, Now, Op
from kubemr.locks.lease import RENEWALS_PER_DURATION
from kubemr.locks.patch import Patch
from kubemr.reasons import Reason
from kubemr.tasks.claims import ShardNotFoundError, mark_lost
from kubemr.tasks.shard import SHARDS, Shard
from kubemr.tasks.state import Token

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PROGRESS_SECONDS = 2.0
"""The least time between two patches of the counts."""


def supervise(document: Json, context: ReconcileContext) -> Op[Result]:
    """Check a running job once; run again after the interval of a Lease's renewals."""
    job = JobView.of(document)
    now: str = yield Do(context.settings.now_string, "wall clock")
    if job.stages[0].total == 0:
        yield from complete(job, Results(), now)
        return Result()
    if (yield from fail_if_shards_are_missing(job, context)):
        return Result()
    workers = latest_worker_job(job, context)
    if workers is not None and workers_ended(workers) is None and (yield from sync_worker_job(job, workers, context)):
        return Result(0.5)  # By then the caches and the job show it.
    late = _deadline_problem(document, now)
    if late and not (workers is not None and is_suspended(workers)):
        yield from fail(job, late, context.settings.now_string, Reason.DEADLINE_EXCEEDED)
        return Result()
    known = context.cache.shards(job.uid)
    shards = [] if job.current is None else of_stage(job, job.current, known)
    yield from _update_counts(job, known, context)
    yield from _release_tasks_of_dead_workers(job, shards, context)
    if any(shard.failed for shard in shards) or (shards and all(shard.committed for shard in shards)):
        yield from _advance(job, context)
    yield from ensure_worker_job(job, context)
    if workers is not None and workers_ended(workers) is None and not is_suspended(workers):
        yield from check_pods(job, workers, context)
    return Result(min(PROGRESS_SECONDS, context.settings.lease_seconds / RENEWALS_PER_DURATION))


def _advance(job: JobView, context: ReconcileContext) -> Op[None]:
    """Seal the stage, as a worker would."""
    stage = job.current
    if stage is None:
        return
    try:
        store = yield from open_job_store(job, context)
    except StorageNotReadyError as problem:
        yield from report_blocked(job, context, Reason.STORAGE_NOT_READY, str(problem))
        return
    if reason_of(job) == Reason.STORAGE_NOT_READY:
        yield from clear_blocked(job, context)
        return  # The job has changed; the next reconciliation seals the stage.
    try:
        yield from advance(
            job, (yield from take_snapshot(job, stage)), Dependencies(store, context.settings.now_string)
        )
    except RequestRefusedError:
        yield from _clear_if_deleted(job, store)
        raise
    yield from _clear_if_deleted(job, store)


def _clear_if_deleted(job: JobView, store: CleanStore) -> Op[None]:
    """Delete what this operator wrote if the job was deleted, and its prefix with it, while the operator was paused.

    No other operator does it: one whose watch resumes only some time after an outage may never see the deletion.
    """
    latest: Json = yield from read(job.target)
    if latest is None or latest["metadata"]["uid"] != job.uid:
        yield Do(lambda: store.delete_prefix(job.storage_prefix), "delete prefix")


def _release_tasks_of_dead_workers(job: JobView, shards: Sequence[ShardSummary], context: ReconcileContext) -> Op[None]:
    """Reclaim the tasks whose holders are dead."""
    holders: set[Token] = {holder for shard in shards for holder in shard.holders}
    dead = yield from find_dead(job, holders, context)
    losses: list[Loss] = []
    for shard in shards:
        if dead & shard.holders:
            document: Json = yield from read(Target(SHARDS, job.namespace, shard.name))
            if document is None:
                return  # The job was deleted; its event will follow.
            before = Shard.parse(document)
            try:
                after = yield from mark_lost(before, dead, job.max_attempts)
            except ShardNotFoundError:
                return
            losses += lost_attempts(before, after, dead)
    yield from _record_losses(job, losses, context)


def _record_losses(job: JobView, losses: Sequence[Loss], context: ReconcileContext) -> Op[None]:
    """Write records of the lost attempts, for people to read, if the operator may write to the job's store.

    The records do not say since when the attempts ran, because the operator keeps only summaries of shards.
    """
    if not losses or job.current is None:
        return
    try:
        store = yield from open_job_store(job, context)
    except StorageNotReadyError as problem:
        log.warning("record_write_failed", job=job.name, namespace=job.namespace, error=str(problem))
        return
    dependencies = Dependencies(store, context.settings.now_string)
    yield from write_lost_records(
        job, job.current, losses, dependencies, log.bind(job=job.name, namespace=job.namespace).warning
    )
    yield from _clear_if_deleted(job, store)


def _update_counts(job: JobView, shards: Sequence[ShardSummary], context: ReconcileContext) -> Op[None]:
    """Bring `status.stages` and `status.progress` up to date.

    There is a least time between two patches, because each causes an event of the job and so the next reconciliation.
    """
    now: float = yield Now()
    if now - context.memory(job.uid).counts_patched_at < PROGRESS_SECONDS:
        return
    recorded = job.document["status"]["stages"]
    patch = Patch()
    done = 0
    for position, stage in enumerate(job.stages):
        counts = total_counts(of_stage(job, stage, shards))
        if sum(counts.values()) != stage.total:
            return  # The cache does not have all shards yet.
        done += counts["done"]
        for name, count in counts.items():
            if recorded[position].get(name) != count:
                patch = patch.add(f"/status/stages/{position}/{name}", count)
    if len(patch):
        context.memory(job.uid).counts_patched_at = now
        patch = patch.add("/status/progress", f"{done}/{sum(stage.total for stage in job.stages)}")
        yield from patch_job(job.status, guard(job) + patch, patch.shows)


def _deadline_problem(document: Json, now: str) -> str:
    """Return the error if the job has exceeded its deadline, else an empty string."""
    seconds = (document.get("spec") or {}).get("activeDeadlineSeconds")
    started = (document.get("status") or {}).get("startTime")
    if seconds is None or started is None:
        return ""
    elapsed = (datetime.fromisoformat(now) - datetime.fromisoformat(started)).total_seconds()
    if elapsed < seconds + 1:  # Times in a status are whole seconds: late is better than early.
        return ""
    return f"spec.activeDeadlineSeconds: the job ran for longer than {seconds} seconds"
