"""The progress of a job is derived from the watches of the job and its shards."""

from __future__ import annotations

from typing import Any

from kubemr.coordination.names import LABEL_RUN, LABEL_STAGE
from kubemr.local.progress import JobProgress, StageCounts, Step

STAGES = [{"step": 0, "name": "map", "shards": 2, "total": 3}, {"step": 0, "name": "reduce", "shards": 1, "total": 1}]


def job(phase: str = "", stage: str = "", run: int = 1) -> Any:
    metadata = {"name": "j", "namespace": "n", "uid": "u"}
    status = {"phase": phase, "stage": stage, "stages": STAGES, "run": run} if phase else None
    return {"metadata": metadata, "spec": {}, **({"status": status} if status else {})}


def shard(name: str, stage: str, *tasks: str, run: int = 1) -> Any:
    labels = {LABEL_STAGE: stage, LABEL_RUN: str(run)}
    return {"metadata": {"name": name, "labels": labels}, "tasks": dict(zip("012", tasks, strict=False))}


def test_phases_and_stages_are_noted_once_when_first_seen() -> None:
    """They are recorded in the order in which they appeared."""
    progress = JobProgress()
    assert progress.update_job(job(), 0.0) == []
    assert progress.update_job(job("PENDING"), 1.0) == [Step("PENDING", 1.0)]
    assert progress.update_job(job("PENDING"), 1.5) == []
    assert progress.update_job(job("DEPLOYED", "map"), 2.0) == [Step("DEPLOYED", 2.0), Step("map", 2.0)]
    assert progress.update_job(job("DEPLOYED", "reduce"), 3.0) == [Step("reduce", 3.0)]
    assert progress.update_job(job("COMPLETE", "reduce"), 4.0) == [Step("COMPLETE", 4.0)]
    assert progress.final
    assert [step.name for step in progress.timeline] == ["PENDING", "DEPLOYED", "map", "reduce", "COMPLETE"]


def test_counts_come_from_the_shards() -> None:
    """The latest state of each shard counts, if it belongs to the present run."""
    progress = JobProgress()
    progress.update_job(job("DEPLOYED", "map", run=2), 0.0)
    progress.update_shard(shard("a", "0-map", "running/1/0/0/w0-abcdef", "pending/1/0/0/", run=2))
    progress.update_shard(shard("a", "0-map", "done/1/0/0/w0-abcdef", "running/3/2/0/w0-abcdef", run=2))
    progress.update_shard(shard("b", "0-map", "empty/1/0/0/w0-abcdef", run=2))
    progress.update_shard(shard("c", "0-map", "empty/1/0/0/w0-abcdef", run=1))
    assert progress.stages == [StageCounts("map", 3, 2, 1, 2), StageCounts("reduce", 1, 0, 0, 0)]


def test_one_entry_counts_for_all_tasks_that_it_tells_of() -> None:
    """Running tasks, committed tasks and failures are counted for each task of the entry."""
    progress = JobProgress()
    progress.update_job(job("DEPLOYED", "map"), 0.0)
    for text, done, running, failures in (
        ("running/2/1/0/w0-abcdef", 0, 3, 3),
        ("done/2/1/0/w0-abcdef", 3, 0, 3),
    ):
        progress.update_shard({**shard("a", "0-map"), "tasks": {"0-2": text}})
        assert progress.stages[0] == StageCounts("map", 3, done, running, failures)


def test_a_complete_job_is_complete_in_all_stages() -> None:
    """This holds even if the watch of the shards lags behind that of the job."""
    progress = JobProgress()
    progress.update_job(job("DEPLOYED", "reduce"), 0.0)
    assert not progress.final
    progress = JobProgress()
    progress.update_job(job("COMPLETE", "reduce"), 0.0)
    assert [(stage.done, stage.running) for stage in progress.stages] == [(3, 0), (1, 0)]


def test_before_anything_is_seen() -> None:
    """There is nothing to show."""
    progress = JobProgress()
    assert (progress.view, progress.status, progress.stages, progress.final) == (None, {}, [], False)
