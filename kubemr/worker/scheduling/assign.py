"""Make the assignment of a claimed task: what the executor needs to run it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from attr import frozen

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView, Stage
from kubemr.tasks.state import TaskState, Token, attempt_of
from kubemr.worker.assignment import Assignment, JobInfo, StageName


def job_info(job: JobView) -> JobInfo:
    """Return what user code may know of the job."""
    spec = job.document.get("spec") or {}
    return JobInfo(job.name, job.namespace, job.run, job.partitions, dict(spec.get("jobargs") or {}))


@frozen
class _StageFields:
    """What all tasks of a stage have in common: computing it for each would take longer than a quick task."""

    job: JobView
    stage: Stage
    prefix: str
    """The prefix of the job's keys in storage."""
    index_key: str
    source: str

    @classmethod
    def of(cls, job: JobView, stage: Stage) -> _StageFields:
        prefix, index_key, source = job.storage_prefix, "", ""
        if stage.name == "reduce":
            map_stage = job.stages[job.position(stage) - 1]
            index_key = names.index_key(prefix, job.run, map_stage.step, map_stage.name)
            source = names.stage_prefix(prefix, map_stage.step, map_stage.name)
        return cls(job, stage, prefix, index_key, source)

    def make_assignment(self, number: int, attempt: str) -> Assignment:
        job, stage = self.job, self.stage
        chunk_key, position, task_input = "", 0, ""
        if stage.name == "map" and job.inputs is not None:
            chunk, position = divmod(number, job.inputs.tasks_per_chunk)
            chunk_key = names.inputs_chunk(self.prefix, job.inputs.plan, chunk)
        elif stage.name == "map":
            task_input = str(job.document["spec"]["inputs"][number])
        return Assignment(
            stage.step,
            cast(StageName, stage.name),
            number,
            attempt,
            names.attempt_prefix(self.prefix, stage.step, stage.name, number, attempt),
            job.partitions,
            task_input,
            chunk_key,
            position,
            self.index_key,
            self.source,
        )


def assigner(token: Token) -> Callable[[JobView, Stage, int, TaskState], Assignment]:
    """Return a function that makes assignments for the worker with this token."""
    fields: _StageFields | None = None

    def assign(job: JobView, stage: Stage, number: int, state: TaskState) -> Assignment:
        nonlocal fields
        if fields is None or fields.job is not job or fields.stage is not stage:
            fields = _StageFields.of(job, stage)
        return fields.make_assignment(number, attempt_of(state.epoch, token))

    return assign
