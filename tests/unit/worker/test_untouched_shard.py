"""A worker of quick tasks claims whole shards of its part, one after another, without reading them first."""

from __future__ import annotations

import pytest
from attr import evolve

from kubemr.coordination.job_view import JobView
from kubemr.locks import Request
from kubemr.tasks.shard import SHARDS, Shard
from kubemr.worker.scheduling.identity import ExitReason
from kubemr.worker.scheduling.shard_search import untouched_shard
from support.bench import Bench
from support.planned import worker_of

SIZE, QUICK = 32, 0.001


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


def deployed(bench: Bench, tasks: int, replicas: int = 1) -> JobView:
    """Deploy a job of `tasks` tasks, in shards of 32."""
    return bench.deployed(inputs=[str(number) for number in range(tasks)], partitions=0, replicas=replicas)


def verbs(bench: Bench, job: JobView, number: int) -> list[str]:
    """Return the verbs of the requests for one shard, in order."""
    name = job.shard_name(job.stages[0], number)
    return [each.verb for each in bench.requests if each.resource == SHARDS and each.name == name]


@pytest.mark.parametrize("tasks", [4 * SIZE, 4 * SIZE - 7])
def test_it_is_the_shard_that_the_operator_has_made(bench: Bench, tasks: int) -> None:
    """The last one too, which has fewer tasks."""
    job = deployed(bench, tasks)
    stage = job.stages[0]
    for number in range(stage.shards):
        there = bench.shard(job, 0, number)
        assert untouched_shard(job, stage, number, SIZE) == there
        assert untouched_shard(job, stage, number, len(there.tasks) - 1) is None


def test_a_shard_that_may_have_been_touched_is_not_untouched(bench: Bench) -> None:
    """In a retry, tasks may be committed; with more workers than shards, several begin there; one task is too few."""
    job = deployed(bench, 2 * SIZE + 1)
    stage = job.stages[0]
    assert untouched_shard(job, stage, 0, SIZE) is not None
    assert untouched_shard(evolve(job, run=2), stage, 0, SIZE) is None
    assert untouched_shard(evolve(job, replicas=4), stage, 0, SIZE) is None
    assert untouched_shard(job, stage, 2, SIZE) is None


def test_shards_that_are_claimed_whole_are_not_read_first(bench: Bench) -> None:
    """Each needs two patches, a claim and a commit.  The first shard is read, because no task was timed before."""
    job = deployed(bench, 6 * SIZE)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: QUICK
    bench.requests.clear()
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert verbs(bench, job, 0)[0] == "get"
    assert [verbs(bench, job, number) for number in range(1, 6)] == [["patch", "patch"]] * 5
    assert sorted(task.number for task in executor.begun) == list(range(6 * SIZE))


def test_a_shard_that_another_worker_has_touched_is_read(bench: Bench) -> None:
    """The claim fails, and the worker continues with the other tasks."""
    job = deployed(bench, 4 * SIZE)
    other = "w1-bbbbbb"
    shard = bench.write_tasks(job, {2 * SIZE + 3: f"empty/1/0/0/{other}"}, 0, 2)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: QUICK
    bench.requests.clear()
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert verbs(bench, job, 2) == ["patch", "get", "patch", "patch"]
    assert Shard.parse(bench.get(shard.target)).tasks[2 * SIZE + 3].holders == (other,)
    assert sorted(task.number for task in executor.begun) == [
        number for number in range(4 * SIZE) if number != 2 * SIZE + 3
    ]


def test_a_deleted_shard_is_no_error(bench: Bench) -> None:
    """The worker reads the job, which may have ended; here it was deleted."""
    job = deployed(bench, 4 * SIZE)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: QUICK

    def of_the_third(request: Request) -> bool:
        return request.verb == "patch" and request.name == job.shard_name(job.stages[0], 2)

    bench.meanwhile(of_the_third, lambda: bench.delete(job.target))
    assert bench.run(worker.run()) is ExitReason.GONE
