"""A thousand workers on one job do not flood the apiserver: bounds in counted requests, in virtual time.

What is counted is what real loops with real renewals ask of an in-memory apiserver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from kubemr.controller.reconcile.objects.builders import lease_seconds
from support.bench import Bench
from support.lightexecutor import LightTask
from support.many_workers import ManyWorkers

pytestmark = pytest.mark.long

WORKERS = 1000
BASE_SECONDS = 15.0
LEASE_SECONDS = lease_seconds(BASE_SECONDS, WORKERS)
MINUTES = 5
SOME = 400
PARTITIONS = 500
"""Tasks of the next stage: while there is so much to come, nobody leaves."""


def start_workers(
    tasks: int,
    seconds: Callable[[LightTask], float],
    *,
    partitions: int = 0,
    workers: int = WORKERS,
    takes: Mapping[str, float] | None = None,
) -> ManyWorkers:
    """A job, and workers that all begin within a second."""
    bench = Bench(lease_seconds=BASE_SECONDS)
    job = bench.deployed(inputs=[str(number) for number in range(tasks)], replicas=workers, partitions=partitions)
    simulation = ManyWorkers(bench, job, LEASE_SECONDS, seconds, takes or {})
    for index in range(workers):
        simulation.add_worker(index, index / workers)
    return simulation


@pytest.fixture(scope="module")
def waiting() -> ManyWorkers:
    """Ten workers have a task each that lasts for an hour; the others find nothing to do for some minutes.

    They stay because the next stage has work for all of them.
    """
    simulation = start_workers(10, lambda task: 3600.0, partitions=PARTITIONS)
    simulation.run(120.0)
    simulation.reset_counts()
    simulation.run(60.0 * MINUTES)
    return simulation


def test_idle_workers_ask_a_few_times_a_minute(waiting: ManyWorkers) -> None:
    """Seven times each, renewals apart, and not all at once."""
    renewals = waiting.count_requests("patch", "leases")
    assert waiting.count_requests() - renewals <= 8 * MINUTES * WORKERS
    assert waiting.max_requests_per_second() <= 400
    assert 4 * 60 * MINUTES / LEASE_SECONDS * WORKERS <= renewals <= 5 * 60 * MINUTES / LEASE_SECONDS * WORKERS


def test_idle_workers_hold_one_watch_each(waiting: ManyWorkers) -> None:
    """And open it anew seldom."""
    assert waiting.max_watches <= WORKERS
    assert waiting.count_requests("watch") <= 2 * MINUTES * WORKERS


def test_idle_workers_do_not_all_watch_the_same_holders(waiting: ManyWorkers) -> None:
    """Each holder has some watchers, not a thousand, so that few Leases are read."""
    holders, looks = 10, 60.0 * MINUTES / (LEASE_SECONDS / 4)
    assert holders * looks < waiting.count_requests("get", "leases") < 12 * holders * looks


def test_dead_holders_are_found_by_idle_workers_alone() -> None:
    """All ten die at once, without an operator: another worker has each of their tasks after a few durations."""
    assert lease_seconds(BASE_SECONDS, SOME) == LEASE_SECONDS
    simulation = start_workers(10, lambda task: 3600.0, partitions=PARTITIONS, workers=SOME)
    simulation.run(60.0)
    dead = [worker for worker in simulation.workers if worker.token in simulation.bench.shard(simulation.job).holders]
    assert len(dead) == 10
    for worker in dead:
        worker.dead = True
    simulation.reset_counts()
    simulation.run(3 * LEASE_SECONDS)
    holders = simulation.bench.shard(simulation.job).holders
    assert len(holders) == 10
    assert not holders & {worker.token for worker in dead}
    assert simulation.count_requests() <= 100 * SOME


def test_a_start_and_a_change_of_stage_are_no_stampede() -> None:
    """All begin within a second, on two shards; then the tasks of the next stage open for all of them.

    What a worker needs for it is asked for within seconds, not at once, and a claim that is lost is not tried for ever.
    """
    simulation = start_workers(64, lambda task: 20.0 + task.number % 64 / 4, partitions=PARTITIONS)
    simulation.run(10.0)
    assert simulation.max_requests_per_second() <= 2 * WORKERS
    assert simulation.count_requests() <= 12 * WORKERS
    assert len(simulation.bench.shard(simulation.job).pending) == 0
    simulation.run(20.0)
    simulation.reset_counts()
    simulation.run(30.0)
    assert simulation.bench.job(simulation.job.name).stage == "reduce"
    assert simulation.max_requests_per_second() <= 2 * WORKERS
    assert simulation.count_requests() <= 20 * WORKERS
    simulation.run(120.0)
    assert simulation.bench.job(simulation.job.name).phase == "COMPLETE"
    assert all(worker.ended is not None for worker in simulation.workers)
    assert sum(worker.executor.ran for worker in simulation.workers) == 64 + PARTITIONS


def test_few_do_what_one_is_enough_for() -> None:
    """To seal the last stage takes 30 s: of hundreds that notice meanwhile, a few begin with it, too."""
    simulation = start_workers(
        2 * SOME, lambda task: 5.0 + task.number % 64 / 16, workers=SOME, takes={"write index": 30.0}
    )
    simulation.run(120.0)
    assert simulation.bench.job(simulation.job.name).phase == "COMPLETE"
    assert 1 <= len(simulation.storage_users) <= 10
    assert all(worker.ended is not None for worker in simulation.workers)


@pytest.mark.parametrize("workers", [10, SOME])
def test_who_is_left_moves_the_job_on(workers: int) -> None:
    """The first two that begin to seal the stage die over it, and there is no operator: another one does it.

    Most workers have left by then, as nothing was left for them.
    """
    simulation = start_workers(20, lambda task: 60.0 + task.number, workers=workers, takes={"write index": 3.0})
    for number in range(2):
        while len(simulation.storage_users) == number:
            simulation.run(1.0)
        simulation.storage_users[number].dead = True
    simulation.run(2.0 * LEASE_SECONDS)
    assert simulation.bench.job(simulation.job.name).phase == "COMPLETE"
    assert len(set(map(id, simulation.storage_users))) >= 3
