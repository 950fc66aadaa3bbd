"""DEPLOYED: the workers do the work.  The operator looks after what they cannot see to themselves.

- It counts the tasks, for people to look at, from its cache and not more often than every two seconds.
- It takes tasks away from dead holders, as idle workers do: when no worker is idle, nobody else would.
- It moves a stage on that is complete, in case every worker died just then.
- When the Kubernetes Job has ended and ours has not, it starts another generation of it, or gives up.
- It says why the pods do not come up, and fails a job whose shards somebody deleted.
- It makes the Kubernetes Job follow `replicas` and `suspend`.
- It enforces `activeDeadlineSeconds`.

A job runs to its end without any of this as long as its workers live.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from kubemr.controller.reconcile.context import After, CleanStore, Operator
from kubemr.controller.reconcile.job_lock import driven
from kubemr.controller.reconcile.shards.missing import fail_if_shards_are_missing
from kubemr.controller.reconcile.shards.summary import Digest, counted, of_stage
from kubemr.controller.reconcile.status.blocked import STORAGE, clear, reason_of, report
from kubemr.controller.reconcile.status.patch import patch_job
from kubemr.controller.reconcile.storage.job_store import StorageNotReady, open_store
from kubemr.controller.reconcile.workers.liveness import dead_among
from kubemr.controller.reconcile.workers.pod_problems import look_at_pods
from kubemr.controller.reconcile.workers.scale import align, suspended
from kubemr.controller.reconcile.workers.worker_job import ended as workers_ended
from kubemr.controller.reconcile.workers.worker_job import latest_workers, renew_workers
from kubemr.coordination.advance import Means, advance, complete, fail
from kubemr.coordination.job_view import JobView
from kubemr.coordination.lost_attempts import Loss, lost, record
from kubemr.coordination.results import Results
from kubemr.coordination.stage_snapshot import survey
from kubemr.locks.conditional import Refused, Target, read
from kubemr.locks.effects import Do, Json, Now, Op
from kubemr.locks.lease import RENEWALS_PER_DURATION
from kubemr.locks.patch import Patch
from kubemr.tasks.claims import ShardGone, lose
from kubemr.tasks.shard import SHARDS, Shard
from kubemr.tasks.state import Token

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PROGRESS_SECONDS = 2.0
"""Least time between two patches of the counts."""


def supervise(document: Json, operator: Operator) -> Op[After]:
    """One look at a running job; comes back after a renewal's interval."""
    job = JobView.of(document)
    now: str = yield Do(operator.settings.stamp, "wall clock")
    if job.stages[0].total == 0:
        yield from complete(job, Results(), now)
        return After()
    if (yield from fail_if_shards_are_missing(job, operator)):
        return After()
    workers = latest_workers(job, operator)
    if workers is not None and workers_ended(workers) is None and (yield from align(job, workers, operator)):
        return After(0.5)  # The caches, and the job, are about to show it.
    late = _overdue(document, now)
    if late and not (workers is not None and suspended(workers)):
        yield from fail(job, late, operator.settings.stamp, "DeadlineExceeded")
        return After()
    known = operator.cache.shards(job.uid)
    shards = [] if job.current is None else of_stage(job, job.current, known)
    yield from _count(job, known, operator)
    yield from _bury(job, shards, operator)
    if any(shard.failed for shard in shards) or (shards and all(shard.committed for shard in shards)):
        yield from _advance(job, operator)
    yield from renew_workers(job, operator)
    if workers is not None and workers_ended(workers) is None and not suspended(workers):
        yield from look_at_pods(job, workers, operator)
    return After(min(PROGRESS_SECONDS, operator.settings.lease_seconds / RENEWALS_PER_DURATION))


def _advance(job: JobView, operator: Operator) -> Op[None]:
    """Move the stage on, as a worker would."""
    stage = job.current
    if stage is None:
        return
    try:
        store = yield from open_store(job, operator)
    except StorageNotReady as problem:
        yield from report(job, operator, STORAGE, str(problem))
        return
    if reason_of(job) == STORAGE:
        yield from clear(job, operator)
        return  # The job has changed; the next look moves it on.
    try:
        yield from advance(job, (yield from survey(job, stage)), Means(store, operator.settings.stamp))
    except Refused:
        yield from _clear_if_deleted(job, store)
        raise
    yield from _clear_if_deleted(job, store)


def _clear_if_deleted(job: JobView, store: CleanStore) -> Op[None]:
    """Where the job was deleted, and its prefix with it, while this operator was held up: remove what it wrote since.

    Nobody else does.  An operator that watches again only some time after an outage may go by a job that is long over.
    """
    latest: Json = yield from read(job.target)
    if latest is None or latest["metadata"]["uid"] != job.uid:
        yield Do(lambda: store.delete_prefix(job.storage_prefix), "delete prefix")


def _bury(job: JobView, shards: Sequence[Digest], operator: Operator) -> Op[None]:
    """Take the tasks of dead holders away from them."""
    holders: set[Token] = {holder for shard in shards for holder in shard.holders}
    dead = yield from dead_among(job, holders, operator)
    told: list[Loss] = []
    for shard in shards:
        if dead & shard.holders:
            document: Json = yield from read(Target(SHARDS, job.namespace, shard.name))
            if document is None:
                return  # The job was deleted; its event is on the way.
            before = Shard.parse(document)
            try:
                after = yield from lose(before, dead, job.max_attempts)
            except ShardGone:
                return
            told += lost(before, after, dead)
    yield from _record(job, told, operator)


def _record(job: JobView, losses: Sequence[Loss], operator: Operator) -> Op[None]:
    """Tell people of lost attempts, if the operator may write to the job's store.

    Not since when they ran: of shards whose workers live the operator keeps no more than a digest.
    """
    if not losses or job.current is None:
        return
    try:
        store = yield from open_store(job, operator)
    except StorageNotReady as problem:
        log.warning("record_not_kept", job=job.name, namespace=job.namespace, error=str(problem))
        return
    means = Means(store, operator.settings.stamp)
    yield from record(job, job.current, losses, means, log.bind(job=job.name, namespace=job.namespace).warning)
    yield from _clear_if_deleted(job, store)


def _count(job: JobView, shards: Sequence[Digest], operator: Operator) -> Op[None]:
    """Bring `status.stages` and `status.progress` up to date.

    A patch of the counts is an event of the job, and so leads to the next look at once: hence the least time between.
    """
    now: float = yield Now()
    if now - operator.counted.get(job.uid, float("-inf")) < PROGRESS_SECONDS:
        return
    recorded = job.document["status"]["stages"]
    patch = Patch()
    done = 0
    for position, stage in enumerate(job.stages):
        counts = counted(of_stage(job, stage, shards))
        if sum(counts.values()) != stage.total:
            return  # The cache does not show all of it yet.
        done += counts["done"]
        for name, count in counts.items():
            if recorded[position].get(name) != count:
                patch = patch.add(f"/status/stages/{position}/{name}", count)
    if len(patch):
        operator.counted[job.uid] = now
        patch = patch.add("/status/progress", f"{done}/{sum(stage.total for stage in job.stages)}")
        yield from patch_job(job.status, driven(job) + patch, patch.shows)


def _overdue(document: Json, now: str) -> str:
    """Why the job's time is up, or empty."""
    seconds = (document.get("spec") or {}).get("activeDeadlineSeconds")
    started = (document.get("status") or {}).get("startTime")
    if seconds is None or started is None:
        return ""
    elapsed = (datetime.fromisoformat(now) - datetime.fromisoformat(started)).total_seconds()
    if elapsed < seconds + 1:  # Times in a status are in whole seconds: better late than early.
        return ""
    return f"spec.activeDeadlineSeconds: the job ran for longer than {seconds} seconds"
