"""DEPLOYING → DEPLOYED: create what the workers need, and last of all the Kubernetes Job that runs them.

Every creation is idempotent, so whoever takes over goes through all of it again.  A worker that starts
finds everything in place: shards and Leases exist, and `status.stages` says how many, before its pod does.
"""

from __future__ import annotations

from typing import Final

from kubemr.controller.reconcile.context import WAIT_FOR_EVENT, ReconcileContext, Result, StorageSettings
from kubemr.controller.reconcile.job_lock import guard, still_holds_lock
from kubemr.controller.reconcile.objects import builders, rbac
from kubemr.controller.reconcile.objects.create import ensure
from kubemr.controller.reconcile.phases.plan_inputs import plan
from kubemr.controller.reconcile.shards.missing import SHARD_DELETED
from kubemr.controller.reconcile.shards.previous_run import PreviousShardsMissingError, load_previous_tasks
from kubemr.controller.reconcile.status.blocked import STORAGE, report_blocked
from kubemr.controller.reconcile.status.events import event
from kubemr.controller.reconcile.status.patch import patch_job
from kubemr.controller.reconcile.storage.job_store import StorageNotReady, check_store
from kubemr.coordination.advance import condition, fail
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import CONFIG_MAPS, KUBERNETES_JOBS, SECRETS
from kubemr.locks.conditional import RequestRefusedError
from kubemr.locks.effects import Do, Json, Op
from kubemr.locks.lease import LEASES
from kubemr.tasks.shard import SHARDS

STORAGE_POLL_SECONDS: Final = 5.0
"""How soon to look again for a Secret or a bucket that is missing."""


def deploy(document: Json, context: ReconcileContext) -> Op[Result]:
    """Deploy a job that this operator drives."""
    job = JobView.of(document)
    if job.unplanned:
        return (yield from plan(document, context))
    if job.stages[0].total > 0:
        storage: StorageSettings = yield Do(lambda: context.settings.storage(document), "storage settings")
        try:
            yield from check_store(job, context, storage)
        except StorageNotReady as problem:
            yield from report_blocked(job, context, STORAGE, str(problem))
            return Result(STORAGE_POLL_SECONDS)
        # The cache lags behind: a shard that was deleted since must not come back with nothing done.
        if not (yield from still_holds_lock(job, context)):
            return WAIT_FOR_EVENT
        try:
            yield from create_children(job, storage, context.settings.lease_seconds)
        except PreviousShardsMissingError as forgotten:
            if (yield from still_holds_lock(job, context)):
                yield from fail(job, str(forgotten), context.settings.now_string, SHARD_DELETED)
            return WAIT_FOR_EVENT
        if not (yield from still_holds_lock(job, context)):
            context.cleaned.pop((job.uid, job.run), None)  # What was just created may have to go again.
            return Result(0.0)
        body = builders.workers(job, 0, storage)
        try:
            yield from ensure(job, KUBERNETES_JOBS, body)
        except RequestRefusedError as refused:
            if refused.answer.status != 422:
                raise  # Rights, a quota: that may change.
            cause = f"the workers cannot be created: {refused.answer.message}; correct spec.template or spec.resources"
            yield from fail(job, cause, context.settings.now_string, "WorkersRefused")
            return WAIT_FOR_EVENT
    now: str = yield Do(context.settings.now_string, "wall clock")
    message = f"{job.replicas} workers" if job.stages[0].total else "there are no inputs, so there are no workers"
    patch = guard(job).replace("/status/phase", "DEPLOYED")
    if (document.get("status") or {}).get("error"):
        patch = patch.remove("/status/error")  # What held the deployment up.
    patch = patch.add("/status/stages/0/startTime", now) + condition(job, "Deployed", "Deployed", message, now)
    marked = yield from patch_job(job.status, patch, lambda seen: JobView.of(seen).phase == "DEPLOYED")
    if marked is not None:
        yield from event(marked, "Normal", "Deployed", message, now)
    return WAIT_FOR_EVENT


def create_children(job: JobView, storage: StorageSettings, lease_seconds: float) -> Op[None]:
    """Everything but the pods.  Raises `PreviousShardsMissingError`."""
    yield from rbac.grant(job)
    yield from ensure(job, CONFIG_MAPS, builders.config_map(job, storage, lease_seconds))
    if storage.secret:
        yield from ensure(job, SECRETS, builders.secret(job, storage))
    for index in range(job.replicas):
        yield from ensure(job, LEASES, builders.lease(job, index, lease_seconds))
    before = yield from load_previous_tasks(job)
    for position, stage in enumerate(job.stages):
        for body in builders.shards(job, stage, before.get(stage.label), open_=position == 0):
            yield from ensure(job, SHARDS, body)
