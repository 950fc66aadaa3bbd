"""DEPLOYING → DEPLOYED: create what the workers need, and last of all the Kubernetes Job that runs them.

Every creation is idempotent, so whoever takes over goes through all of it again.  A worker that starts
finds everything in place: shards and Leases exist, and `status.stages` says how many, before its pod does.
"""

from __future__ import annotations

from typing import Final

from kubemr.controller.reconcile.context import (
    CONFIG_MAPS,
    DONE,
    KUBERNETES_JOBS,
    SECRETS,
    After,
    Operator,
    StorageSettings,
)
from kubemr.controller.reconcile.job_lock import driven, still_driving
from kubemr.controller.reconcile.objects import builders as children
from kubemr.controller.reconcile.objects import rbac as rights
from kubemr.controller.reconcile.objects.create import ensure
from kubemr.controller.reconcile.phases.plan_inputs import plan
from kubemr.controller.reconcile.shards.missing import SHARD_DELETED
from kubemr.controller.reconcile.shards.previous_run import Forgotten, earlier_tasks
from kubemr.controller.reconcile.status.blocked import STORAGE, report
from kubemr.controller.reconcile.status.events import event
from kubemr.controller.reconcile.status.patch import patch_job
from kubemr.controller.reconcile.storage.job_store import StorageNotReady, check_store
from kubemr.coordination.advance import condition, fail
from kubemr.coordination.job_view import JobView
from kubemr.locks.conditional import Refused
from kubemr.locks.effects import Do, Json, Op
from kubemr.locks.lease import LEASES
from kubemr.tasks.shard import SHARDS

STORAGE_POLL_SECONDS: Final = 5.0
"""How soon to look again for a Secret or a bucket that is missing."""


def deploy(document: Json, operator: Operator) -> Op[After]:
    """Deploy a job that this operator drives."""
    job = JobView.of(document)
    if job.unplanned:
        return (yield from plan(document, operator))
    if job.stages[0].total > 0:
        storage: StorageSettings = yield Do(lambda: operator.settings.storage(document), "storage settings")
        try:
            yield from check_store(job, operator, storage)
        except StorageNotReady as problem:
            yield from report(job, operator, STORAGE, str(problem))
            return After(STORAGE_POLL_SECONDS)
        if not (yield from still_driving(job, operator)):
            return DONE  # The cache lags behind: a shard that was deleted since must not come back with nothing done.
        try:
            yield from create_means(job, storage, operator.settings.lease_seconds)
        except Forgotten as forgotten:
            if (yield from still_driving(job, operator)):
                yield from fail(job, str(forgotten), operator.settings.stamp, SHARD_DELETED)
            return DONE
        if not (yield from still_driving(job, operator)):
            operator.cleaned.pop((job.uid, job.run), None)  # What was just created may have to go again.
            return After(0.0)
        body = children.workers(job, 0, storage)
        try:
            yield from ensure(job, KUBERNETES_JOBS, body)
        except Refused as refused:
            if refused.answer.status != 422:
                raise  # Rights, a quota: that may change.
            cause = f"the workers cannot be created: {refused.answer.message}; correct spec.template or spec.resources"
            yield from fail(job, cause, operator.settings.stamp, "WorkersRefused")
            return DONE
    now: str = yield Do(operator.settings.stamp, "wall clock")
    message = f"{job.replicas} workers" if job.stages[0].total else "there are no inputs, so there are no workers"
    patch = driven(job).replace("/status/phase", "DEPLOYED")
    if (document.get("status") or {}).get("error"):
        patch = patch.remove("/status/error")  # What held the deployment up.
    patch = patch.add("/status/stages/0/startTime", now) + condition(job, "Deployed", "Deployed", message, now)
    marked = yield from patch_job(job.status, patch, lambda seen: JobView.of(seen).phase == "DEPLOYED")
    if marked is not None:
        yield from event(marked, "Normal", "Deployed", message, now)
    return DONE


def create_means(job: JobView, storage: StorageSettings, lease_seconds: float) -> Op[None]:
    """Everything but the pods.  Raises `Forgotten`."""
    yield from rights.grant(job)
    yield from ensure(job, CONFIG_MAPS, children.config_map(job, storage, lease_seconds))
    if storage.secret:
        yield from ensure(job, SECRETS, children.secret(job, storage))
    for index in range(job.replicas):
        yield from ensure(job, LEASES, children.lease(job, index, lease_seconds))
    before = yield from earlier_tasks(job)
    for position, stage in enumerate(job.stages):
        for body in children.shards(job, stage, before.get(stage.label), open_=position == 0):
            yield from ensure(job, SHARDS, body)
