"""A stage is complete when a consistent list shows exactly the recorded shards and tasks, all of them committed."""

from __future__ import annotations

import pytest

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.stage_snapshot import StageSnapshot, open_shards, take_snapshot, unfinished
from kubemr.tasks.shard import SHARDS
from support.bench import Bench

A = "w0-aaaaaa"


@pytest.fixture
def job(bench: Bench) -> JobView:
    """Two shards, of 32 tasks and of 1; all are committed, every other one without an output."""
    job = bench.deployed(inputs=[str(number) for number in range(33)])
    bench.write_tasks(job, {task: f"{('done', 'empty')[task % 2]}/1/0/0/{A}" for task in range(32)})
    bench.write_tasks(job, {32: f"done/3/0/1/{A}"}, 0, 1)
    return job


def look(bench: Bench, job: JobView) -> StageSnapshot:
    """A snapshot of the first stage."""
    return bench.run(take_snapshot(job, job.stages[0]))


def test_a_complete_stage(bench: Bench, job: JobView) -> None:
    """And the index of the attempts that count, by task number."""
    seen = look(bench, job)
    assert seen.complete
    assert seen.failed == []
    assert list(seen.index.attempts) == [("1-w0-aaaaaa", "")[task % 2] for task in range(32)] + ["3-w0-aaaaaa"]
    assert all("resourceVersion" not in request.query for request in bench.requests if request.verb == "list")


def test_labels_are_not_believed(bench: Bench, job: JobView) -> None:
    """Whatever they say, the tasks count."""
    assert [shard.hint for shard in look(bench, job).mislabelled] == ["open", "open"]
    bench.write_tasks(job, {32: f"running/3/0/1/{A}"}, 0, 1)
    bench.set(bench.shard(job, 0, 1).target, "/metadata/labels/kubemr.turbobytes.com~1tasks", "done")
    assert not look(bench, job).complete


def test_a_shard_that_is_missing(bench: Bench, job: JobView) -> None:
    """All that are there are committed; that is not enough."""
    bench.delete(bench.shard(job, 0, 1).target)
    assert not look(bench, job).complete


def test_a_shard_that_is_none_of_the_jobs(bench: Bench, job: JobView) -> None:
    """It has the labels, but not the name: it is not counted, in either direction."""
    labels = {**names.labels(job.uid, job.run), names.LABEL_STAGE: "0-map", names.LABEL_TASKS: "open"}
    body = {
        "apiVersion": names.API_VERSION,
        "kind": "MapReduceTaskShard",
        "metadata": {"name": "forged", "labels": labels},
        "tasks": {"0": "pending/1/0/0/", "77": "failed/1/4/0/"},
    }
    bench.create(SHARDS, body)
    seen = look(bench, job)
    assert seen.complete
    assert seen.failed == []
    bench.delete(bench.shard(job, 0, 1).target)
    assert not look(bench, job).complete


def test_a_shard_with_too_few_tasks(bench: Bench, job: JobView) -> None:
    """The recorded number of tasks, not only of shards."""
    bench.patch(bench.shard(job).target, {"op": "remove", "path": "/tasks/5"})
    assert not look(bench, job).complete


def test_a_task_that_failed_for_good(bench: Bench, job: JobView) -> None:
    """It is named; the stage is not complete."""
    bench.write_tasks(job, {7: "failed/1/4/0/"})
    seen = look(bench, job)
    assert (seen.complete, seen.failed) == (False, [7])


def test_a_task_that_the_stage_does_not_have(bench: Bench, job: JobView) -> None:
    """One too many, or in the place of one that it has: neither is what was recorded."""
    bench.set(bench.shard(job).target, "/tasks/33", f"done/1/0/0/{A}")
    assert not look(bench, job).complete
    bench.patch(bench.shard(job).target, {"op": "remove", "path": "/tasks/5"})
    assert not look(bench, job).complete


def test_only_what_one_list_shows_counts(bench: Bench, job: JobView, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot that expires between two pages: of the first page nothing is kept, neither shards nor tasks."""
    monkeypatch.setattr("kubemr.coordination.stage_snapshot.shards_a_page", lambda stage: 1)
    assert look(bench, job).complete

    def expire() -> None:
        bench.delete(bench.shard(job).target)
        bench.server.compact()

    bench.meanwhile(lambda request: "continue" in request.query, expire)
    seen = look(bench, job)
    assert (seen.complete, seen.shards, [seen.tasks.text(task) for task in (0, 32)]) == (
        False,
        1,
        ["", f"done/3/0/1/{A}"],
    )


def test_only_shards_with_a_wrong_label_are_kept(bench: Bench, job: JobView, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large stage all others would be too many; and of those there are so many at once."""
    hint = "/metadata/labels/kubemr.turbobytes.com~1tasks"
    bench.set(bench.shard(job).target, hint, "done")
    assert [shard.name for shard in look(bench, job).mislabelled] == [job.shard_name(job.stages[0], 1)]
    bench.set(bench.shard(job).target, hint, "drained")
    assert len(look(bench, job).mislabelled) == 2
    monkeypatch.setattr("kubemr.coordination.stage_snapshot.MAX_MISLABELLED", 1)
    assert len(look(bench, job).mislabelled) == 1
    bench.set(bench.shard(job, 0, 0).target, hint, "waiting")
    bench.set(bench.shard(job, 0, 1).target, hint, "waiting")
    assert look(bench, job).mislabelled == ()


def test_looking_for_work_goes_by_the_labels(bench: Bench, job: JobView) -> None:
    """Cheap, and only a hint."""
    stage = job.stages[0]
    hint = "/metadata/labels/kubemr.turbobytes.com~1tasks"
    bench.set(bench.shard(job, 0, 1).target, hint, "drained")
    assert [shard.name for shard in bench.run(open_shards(job, stage, 16)).shards] == [job.shard_name(stage, 0)]
    assert len(bench.run(unfinished(job, stage)).shards) == 2
    assert len(bench.run(unfinished(job, stage, 1)).shards) == 1
    bench.set(bench.shard(job).target, hint, "done")
    assert len(bench.run(unfinished(job, stage)).shards) == 1
    assert bench.run(open_shards(job, stage, 16)).shards == ()
