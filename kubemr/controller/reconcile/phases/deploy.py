"""DEPLOYING → DEPLOYED: create what the workers need, and finally the Kubernetes Job that runs them.

Every creation is idempotent, so an operator that takes over repeats all of them.
A worker finds everything that it needs when it starts.
The shards and Leases exist, and `status.stages` has their number, before its pod does.
"""

from __future__ import annotations

from typing import Final

from kubemr.controller.reconcile.context import WAIT_FOR_EVENT, ReconcileContext, Result, StorageSettings
from kubemr.controller.reconcile.job_lock import guard, patch_job, still_holds_lock
from kubemr.controller.reconcile.objects import builders, rbac
from kubemr.controller.reconcile.objects.create import ensure
from kubemr.controller.reconcile.phases.plan_inputs import plan_inputs
from kubemr.controller.reconcile.shards.previous_run import PreviousShardsMissingError, load_previous_tasks
from kubemr.controller.reconcile.status.blocked import report_blocked
from kubemr.controller.reconcile.status.events import event
from kubemr.controller.reconcile.storage.job_store import StorageNotReadyError, check_store
from kubemr.coordination.advance import condition, fail
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import CONFIG_MAPS, KUBERNETES_JOBS, SECRETS
from kubemr.locks.conditional import RequestRefusedError
from kubemr.locks.effects import Do, Json, Op
from kubemr.locks.lease import LEASES
from kubemr.reasons import ConditionType, Reason
from kubemr.tasks.shard import SHARDS

STORAGE_POLL_SECONDS: Final = 5.0
"""How soon to look again for a missing Secret or bucket."""


def deploy(document: Json, context: ReconcileContext) -> Op[Result]:
    """Deploy a job whose lock this operator holds."""
    job = JobView.of(document)
    if job.unplanned:
        return (yield from plan_inputs(document, context))
    if job.stages[0].total > 0:
        storage: StorageSettings = yield Do(lambda: context.settings.storage(document), "storage settings")
        try:
            yield from check_store(job, context, storage)
        except StorageNotReadyError as problem:
            yield from report_blocked(job, context, Reason.STORAGE_NOT_READY, str(problem))
            return Result(STORAGE_POLL_SECONDS)
        # The cache may be out of date: a shard that was deleted since must not be created again with pending tasks.
        if not (yield from still_holds_lock(job, context)):
            return WAIT_FOR_EVENT
        try:
            yield from create_children(job, storage, context.settings.lease_seconds)
        except PreviousShardsMissingError as missing:
            if (yield from still_holds_lock(job, context)):
                yield from fail(job, str(missing), context.settings.now_string, Reason.SHARD_DELETED)
            return WAIT_FOR_EVENT
        if not (yield from still_holds_lock(job, context)):
            context.cleaned.pop((job.uid, job.run), None)  # What was just created may have to be deleted.
            return Result(0.0)
        body = builders.workers(job, 0, storage)
        try:
            yield from ensure(job, KUBERNETES_JOBS, body)
        except RequestRefusedError as refused:
            if refused.answer.status != 422:
                raise  # Permissions or a quota may change.
            cause = f"the workers cannot be created: {refused.answer.message}; correct spec.template or spec.resources"
            yield from fail(job, cause, context.settings.now_string, Reason.WORKER_JOB_REJECTED)
            return WAIT_FOR_EVENT
    now: str = yield Do(context.settings.now_string, "wall clock")
    message = f"{job.replicas} workers" if job.stages[0].total else "there are no inputs, so there are no workers"
    patch = guard(job).replace("/status/phase", "DEPLOYED")
    if (document.get("status") or {}).get("error"):
        patch = patch.remove("/status/error")  # It said what blocked the deployment.
    patch = patch.add("/status/stages/0/startTime", now) + condition(
        job, ConditionType.DEPLOYED, Reason.DEPLOYED, message, now
    )
    patched = yield from patch_job(job.status, patch, lambda seen: JobView.of(seen).phase == "DEPLOYED")
    if patched is not None:
        yield from event(patched, Reason.DEPLOYED, message, now)
    return WAIT_FOR_EVENT


def create_children(job: JobView, storage: StorageSettings, lease_seconds: float) -> Op[None]:
    """Create all children of the run except for the Kubernetes Job.  Raises `PreviousShardsMissingError`."""
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
