"""From a claimed task to what the executor is asked to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from kubemr.coordination import names
from kubemr.coordination.job import JobView
from kubemr.coordination.job import Stage as JobStage
from kubemr.locks.taskstate import TaskState, Token, attempt_of
from kubemr.worker.assignment import Assignment, JobInfo, Stage


def job_info(job: JobView) -> JobInfo:
    """What user code may know of the job."""
    spec = job.document.get("spec") or {}
    return JobInfo(job.name, job.namespace, job.run, job.partitions, dict(spec.get("jobargs") or {}))


def assigner(token: Token) -> Callable[[JobView, JobStage, int, TaskState], Assignment]:
    """Makes assignments for the worker with this token."""

    def assign(job: JobView, stage: JobStage, number: int, state: TaskState) -> Assignment:
        attempt = attempt_of(state.epoch, token)
        prefix = names.attempt_prefix(job.storage_prefix, stage.step, stage.name, number, attempt)
        kind = cast(Stage, stage.name)
        if kind == "map" and job.inputs is not None:
            chunk, position = divmod(number, job.inputs.tasks_per_chunk)
            return Assignment(
                stage.step,
                kind,
                number,
                attempt,
                prefix,
                job.partitions,
                chunk_key=names.inputs_chunk(job.storage_prefix, job.inputs.plan, chunk),
                position=position,
            )
        if kind == "map":
            text = str(job.document["spec"]["inputs"][number])
            return Assignment(stage.step, kind, number, attempt, prefix, job.partitions, input=text)
        source = job.stages[job.position(stage) - 1]
        return Assignment(
            stage.step,
            kind,
            number,
            attempt,
            prefix,
            job.partitions,
            index_key=names.index_key(job.storage_prefix, job.run, source.step, source.name),
            source=names.stage_prefix(job.storage_prefix, source.step, source.name),
        )

    return assign
