"""A worker of quick tasks takes its own shards whole, one after another, without a look at them first."""

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
    """A job of so many tasks, in shards of 32."""
    return bench.deployed(inputs=[str(number) for number in range(tasks)], partitions=0, replicas=replicas)


def asked(bench: Bench, job: JobView, number: int) -> list[str]:
    """The requests for one shard, in their order."""
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


def test_nothing_is_taken_for_new_that_may_not_be(bench: Bench) -> None:
    """A retry's shards have what was done before; with more workers than shards others begin there; one task is few."""
    job = deployed(bench, 2 * SIZE + 1)
    stage = job.stages[0]
    assert untouched_shard(job, stage, 0, SIZE) is not None
    assert untouched_shard(evolve(job, run=2), stage, 0, SIZE) is None
    assert untouched_shard(evolve(job, replicas=4), stage, 0, SIZE) is None
    assert untouched_shard(job, stage, 2, SIZE) is None


def test_shards_that_are_taken_whole_are_not_read_first(bench: Bench) -> None:
    """Two patches for each: one takes it, one commits it.  The first one is read, as no task has been timed yet."""
    job = deployed(bench, 6 * SIZE)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: QUICK
    bench.requests.clear()
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert asked(bench, job, 0)[0] == "get"
    assert [asked(bench, job, number) for number in range(1, 6)] == [["patch", "patch"]] * 5
    assert sorted(task.number for task in executor.begun) == list(range(6 * SIZE))


def test_one_that_somebody_has_been_at_is_read_and_gone_on_with(bench: Bench) -> None:
    """The claim is lost, and nothing else: what the other holds is the other's."""
    job = deployed(bench, 4 * SIZE)
    other = "w1-bbbbbb"
    shard = bench.write_tasks(job, {2 * SIZE + 3: f"empty/1/0/0/{other}"}, 0, 2)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: QUICK
    bench.requests.clear()
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert asked(bench, job, 2) == ["patch", "get", "patch", "patch"]
    assert Shard.parse(bench.get(shard.target)).tasks[2 * SIZE + 3].holders == (other,)
    assert sorted(task.number for task in executor.begun) == [
        number for number in range(4 * SIZE) if number != 2 * SIZE + 3
    ]


def test_one_that_is_gone_is_no_error(bench: Bench) -> None:
    """The job is looked at, and it may be over; here it is, as somebody has deleted it."""
    job = deployed(bench, 4 * SIZE)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: QUICK

    def of_the_third(request: Request) -> bool:
        return request.verb == "patch" and request.name == job.shard_name(job.stages[0], 2)

    bench.meanwhile(of_the_third, lambda: bench.delete(job.target))
    assert bench.run(worker.run()) is ExitReason.GONE
