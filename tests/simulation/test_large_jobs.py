"""A thousand workers on one job do not flood the apiserver: bounds in counted requests, in virtual time.

What is counted is what real loops with real renewals ask of an in-memory apiserver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from kubemr.controller.reconcile.objects.builders import lease_seconds
from support.bench import Bench
from support.crowd import Crowd
from support.lightexecutor import LightTask

pytestmark = pytest.mark.long

WORKERS = 1000
BASE_SECONDS = 15.0
LEASE_SECONDS = lease_seconds(BASE_SECONDS, WORKERS)
MINUTES = 5
SOME = 400
PARTITIONS = 500
"""Tasks of the next stage: while there is so much to come, nobody leaves."""


def crowd_of(
    tasks: int,
    seconds: Callable[[LightTask], float],
    *,
    partitions: int = 0,
    workers: int = WORKERS,
    takes: Mapping[str, float] | None = None,
) -> Crowd:
    """A job, and workers that all begin within a second."""
    bench = Bench(lease_seconds=BASE_SECONDS)
    job = bench.deployed(inputs=[str(number) for number in range(tasks)], replicas=workers, partitions=partitions)
    crowd = Crowd(bench, job, LEASE_SECONDS, seconds, takes or {})
    for index in range(workers):
        crowd.join(index, index / workers)
    return crowd


@pytest.fixture(scope="module")
def waiting() -> Crowd:
    """Ten workers have a task each that lasts for an hour; the others find nothing to do for some minutes.

    They stay because the next stage has work for all of them.
    """
    crowd = crowd_of(10, lambda task: 3600.0, partitions=PARTITIONS)
    crowd.run(120.0)
    crowd.forget()
    crowd.run(60.0 * MINUTES)
    return crowd


def test_idle_workers_ask_a_few_times_a_minute(waiting: Crowd) -> None:
    """Seven times each, renewals apart, and not all at once."""
    renewals = waiting.asked("patch", "leases")
    assert waiting.asked() - renewals <= 8 * MINUTES * WORKERS
    assert waiting.busiest() <= 400
    assert 4 * 60 * MINUTES / LEASE_SECONDS * WORKERS <= renewals <= 5 * 60 * MINUTES / LEASE_SECONDS * WORKERS


def test_idle_workers_hold_one_watch_each(waiting: Crowd) -> None:
    """And open it anew seldom."""
    assert waiting.most_watches <= WORKERS
    assert waiting.asked("watch") <= 2 * MINUTES * WORKERS


def test_idle_workers_do_not_all_watch_the_same_holders(waiting: Crowd) -> None:
    """Each holder has some watchers, not a thousand, so that few Leases are read."""
    holders, looks = 10, 60.0 * MINUTES / (LEASE_SECONDS / 4)
    assert holders * looks < waiting.asked("get", "leases") < 12 * holders * looks


def test_dead_holders_are_found_by_idle_workers_alone() -> None:
    """All ten die at once, without an operator: another worker has each of their tasks after a few durations."""
    assert lease_seconds(BASE_SECONDS, SOME) == LEASE_SECONDS
    crowd = crowd_of(10, lambda task: 3600.0, partitions=PARTITIONS, workers=SOME)
    crowd.run(60.0)
    dead = [member for member in crowd.members if member.token in crowd.bench.shard(crowd.job).holders]
    assert len(dead) == 10
    for member in dead:
        member.dead = True
    crowd.forget()
    crowd.run(3 * LEASE_SECONDS)
    holders = crowd.bench.shard(crowd.job).holders
    assert len(holders) == 10
    assert not holders & {member.token for member in dead}
    assert crowd.asked() <= 100 * SOME


def test_a_start_and_a_change_of_stage_are_no_stampede() -> None:
    """All begin within a second, on two shards; then the tasks of the next stage open for all of them.

    What a worker needs for it is asked for within seconds, not at once, and a claim that is lost is not tried for ever.
    """
    crowd = crowd_of(64, lambda task: 20.0 + task.number % 64 / 4, partitions=PARTITIONS)
    crowd.run(10.0)
    assert crowd.busiest() <= 2 * WORKERS
    assert crowd.asked() <= 12 * WORKERS
    assert len(crowd.bench.shard(crowd.job).pending) == 0
    crowd.run(20.0)
    crowd.forget()
    crowd.run(30.0)
    assert crowd.bench.job(crowd.job.name).stage == "reduce"
    assert crowd.busiest() <= 2 * WORKERS
    assert crowd.asked() <= 20 * WORKERS
    crowd.run(120.0)
    assert crowd.bench.job(crowd.job.name).phase == "COMPLETE"
    assert all(member.ended is not None for member in crowd.members)
    assert sum(member.executor.ran for member in crowd.members) == 64 + PARTITIONS


def test_few_do_what_one_is_enough_for() -> None:
    """To seal the last stage takes 30 s: of hundreds that notice meanwhile, a few begin with it, too."""
    crowd = crowd_of(2 * SOME, lambda task: 5.0 + task.number % 64 / 16, workers=SOME, takes={"write index": 30.0})
    crowd.run(120.0)
    assert crowd.bench.job(crowd.job.name).phase == "COMPLETE"
    assert 1 <= len(crowd.did) <= 10
    assert all(member.ended is not None for member in crowd.members)


@pytest.mark.parametrize("workers", [10, SOME])
def test_who_is_left_moves_the_job_on(workers: int) -> None:
    """The first two that begin to seal the stage die over it, and there is no operator: another one does it.

    Most workers have left by then, as nothing was left for them.
    """
    crowd = crowd_of(20, lambda task: 60.0 + task.number, workers=workers, takes={"write index": 3.0})
    for number in range(2):
        while len(crowd.did) == number:
            crowd.run(1.0)
        crowd.did[number].dead = True
    crowd.run(2.0 * LEASE_SECONDS)
    assert crowd.bench.job(crowd.job.name).phase == "COMPLETE"
    assert len(set(map(id, crowd.did))) >= 3
