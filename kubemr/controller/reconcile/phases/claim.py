"""PENDING → DEPLOYING: one of several operators acquires the job's lock, and records the stages."""

from __future__ import annotations

from kubemr.controller.reconcile.context import WAIT_FOR_EVENT, ReconcileContext, Result
from kubemr.controller.reconcile.job_lock import PATH, guard, next_acquisition, patch_job
from kubemr.controller.reconcile.status.events import event
from kubemr.coordination import names
from kubemr.coordination.job_view import Inputs, JobView, shards_for
from kubemr.locks.effects import Do, Json, Op
from kubemr.locks.patch import lookup
from kubemr.reasons import Reason


def claim(document: Json, context: ReconcileContext) -> Op[Result]:
    """Acquire the lock of a pending job, unless another operator was faster."""
    job = JobView.of(document)
    now: str = yield Do(context.settings.now_string, "wall clock")
    stages = stages_of(job)
    acquisition = yield from next_acquisition(job, context)
    total = sum(stage["total"] for stage in stages)
    patch = (
        guard(job)
        .replace("/status/phase", "DEPLOYING")
        .add(PATH, acquisition.raw)
        .add("/status/stages", stages)
        .add("/status/stage", stages[0]["name"])
        .add("/status/progress", f"0/{total}")
        .add("/status/replicas", job.replicas)
        .add("/status/selector", names.selector(job.uid))
        .add("/status/startTime", now)
    )
    patched = yield from patch_job(job.status, patch, lambda seen: acquisition.same_acquisition_as(lookup(seen, PATH)))
    if patched is not None:
        yield from event(patched, Reason.DEPLOYING, f"the operator {context.identity} has acquired the job's lock", now)
    return WAIT_FOR_EVENT


def stages_of(job: JobView, found: Inputs | None = None) -> list[Json]:
    """Return the `status.stages` that are recorded before anything is created: the tasks and shards of each stage.

    `found` are the inputs that `plan_inputs` has found.
    Before that, a job with `inputsFrom` has no tasks in its first stage.
    """
    inputs = (job.document.get("spec") or {}).get("inputs") or []
    planned = found or job.inputs
    stages = [_stage("map", len(inputs) if planned is None else planned.tasks, job.replicas)]
    if job.partitions > 0:
        stages.append(_stage("reduce", job.partitions, job.replicas))
    return stages


def _stage(name: str, total: int, replicas: int) -> Json:
    return {
        "step": 0,
        "name": name,
        "shards": shards_for(total, replicas),
        "total": total,
        "pending": total,
        "running": 0,
        "done": 0,
        "failed": 0,
    }
