"""From a claimed task to what the executor is asked to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from attr import frozen

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.job_view import Stage as JobStage
from kubemr.tasks.state import TaskState, Token, attempt_of
from kubemr.worker.assignment import Assignment, JobInfo, StageName


def job_info(job: JobView) -> JobInfo:
    """What user code may know of the job."""
    spec = job.document.get("spec") or {}
    return JobInfo(job.name, job.namespace, job.run, job.partitions, dict(spec.get("jobargs") or {}))


@frozen
class _Common:
    """What is the same for all tasks of a stage: to work it out for each would take longer than a quick task does."""

    job: JobView
    stage: JobStage
    prefix: str
    """Of the job's keys."""
    index_key: str
    source: str

    @classmethod
    def of(cls, job: JobView, stage: JobStage) -> _Common:
        prefix, index_key, source = job.storage_prefix, "", ""
        if stage.name == "reduce":
            before = job.stages[job.position(stage) - 1]
            index_key = names.index_key(prefix, job.run, before.step, before.name)
            source = names.stage_prefix(prefix, before.step, before.name)
        return cls(job, stage, prefix, index_key, source)

    def assignment(self, number: int, attempt: str) -> Assignment:
        job, stage = self.job, self.stage
        chunk_key, position, text = "", 0, ""
        if stage.name == "map" and job.inputs is not None:
            chunk, position = divmod(number, job.inputs.tasks_per_chunk)
            chunk_key = names.inputs_chunk(self.prefix, job.inputs.plan, chunk)
        elif stage.name == "map":
            text = str(job.document["spec"]["inputs"][number])
        return Assignment(
            stage.step,
            cast(StageName, stage.name),
            number,
            attempt,
            names.attempt_prefix(self.prefix, stage.step, stage.name, number, attempt),
            job.partitions,
            text,
            chunk_key,
            position,
            self.index_key,
            self.source,
        )


def assigner(token: Token) -> Callable[[JobView, JobStage, int, TaskState], Assignment]:
    """Makes assignments for the worker with this token."""
    common: _Common | None = None

    def assign(job: JobView, stage: JobStage, number: int, state: TaskState) -> Assignment:
        nonlocal common
        if common is None or common.job is not job or common.stage is not stage:
            common = _Common.of(job, stage)
        return common.assignment(number, attempt_of(state.epoch, token))

    return assign
