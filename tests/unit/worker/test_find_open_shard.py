"""Which open shard a worker works on after its own part of the shards."""

from __future__ import annotations

from functools import partial

import pytest

from kubemr.coordination.job_view import JobView
from kubemr.worker.scheduling.shard_search import LISTED_SHARDS, RANDOM_READS, find_open_shard
from support.bench import Bench

REPLICAS = 40


@pytest.fixture
def bench() -> Bench:
    """An apiserver."""
    return Bench()


@pytest.fixture
def job(bench: Bench) -> JobView:
    """As many shards as workers, all open."""
    job = bench.deployed(inputs=[str(number) for number in range(32 * REPLICAS)], replicas=REPLICAS, partitions=0)
    assert job.stages[0].shards == REPLICAS > LISTED_SHARDS
    return job


def complete_shard(bench: Bench, job: JobView, number: int) -> None:
    """Commit all tasks of a shard, and set its label to `done`."""
    shard = bench.shard(job, 0, number)
    bench.write_tasks(job, dict.fromkeys(shard.tasks, "empty/1/0/0/w1-cccccc"), 0, number)
    bench.set(shard.target, "/metadata/labels/kubemr.turbobytes.com~1tasks", "done")


def verbs(bench: Bench) -> list[str]:
    """Return the verbs of the requests since the last call."""
    found: list[str] = [request.verb for request in bench.requests]
    bench.requests.clear()
    return found


def test_where_many_are_open_any_of_them_is_drawn(bench: Bench, job: JobView) -> None:
    """Also one that no list returns, and for the cost of one read."""
    stage = job.stages[0]
    bench.requests.clear()
    first = bench.run(find_open_shard(job, stage, more_open=False))
    assert first.shard is not None
    assert first.more_open
    assert verbs(bench) == ["list"]
    found = set()
    for number in range(REPLICAS):
        bench.uniform = partial(float, (number + 0.5) / REPLICAS)
        drawn = bench.run(find_open_shard(job, stage, more_open=True))
        assert drawn.shard is not None
        assert drawn.more_open
        found.add(drawn.shard.target.name)
    assert found == {job.shard_name(stage, number) for number in range(REPLICAS)}
    assert verbs(bench) == ["get"] * REPLICAS


def test_after_some_reads_without_success_the_worker_lists(bench: Bench, job: JobView) -> None:
    """The list shows whether more shards are open than it returns."""
    stage = job.stages[0]
    bench.uniform = lambda: 0.999
    for number in range(LISTED_SHARDS - 1, REPLICAS):
        complete_shard(bench, job, number)
    bench.requests.clear()
    found = bench.run(find_open_shard(job, stage, more_open=True))
    assert found.shard is not None
    assert found.shard.pending
    assert not found.more_open
    assert verbs(bench) == ["get"] * RANDOM_READS + ["list"]


def test_nothing_is_open(bench: Bench, job: JobView) -> None:
    """The result has the version from which to watch."""
    for number in range(REPLICAS):
        complete_shard(bench, job, number)
    found = bench.run(find_open_shard(job, job.stages[0], more_open=False))
    assert (found.shard, found.more_open) == (None, False)
    assert found.resource_version == str(bench.server.revision)
