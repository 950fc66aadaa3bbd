"""Each promise of docs/coordination.md is broken by what it forbids, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from coordination.comparison import comparisons
from coordination.first_design import OneObject
from coordination.jobrun import Ran
from coordination.measured import KIB, Measured, Peer
from coordination.promises import promises
from coordination.report import results
from coordination.server import Spent
from coordination.tables import tables

SPENT = Spent(cpu=1.0, wal=1e6, shard_patches=100.0, lost=0.0, job_patches=8.0)


def ran(tasks: int, seconds: float, cost: float, workers: int = 2) -> Ran:
    """A job that was deployed in a second, worked for so many, and removed in another; `cost` in ms per task."""
    return Ran(
        tasks=tasks,
        workers=workers,
        shards=4,
        created=100.0,
        deployed=101.0,
        started=101.0,
        over=101.0 + seconds,
        removed=102.0 + seconds,
        all_of_it=evolve(SPENT, cpu=tasks * cost / 1000, shard_patches=tasks * 0.01),
        worker_cpu=1.0,
        child_cpu=1.0,
        operator_cpu=1.0,
        worker_memory=1e6,
        operator_memory=1e6,
        claims=[0.01],
        largest=20 * KIB,
        database=1e6,
    )


def measured() -> Measured:
    """Three rounds that keep all promises: 100,000 tasks in 10, 9 and 8 s."""
    return Measured(
        runs=[
            [ran(10_000, 2.0, 0.2)] * 3,
            [ran(100_000, seconds, 0.2) for seconds in (10.0, 9.0, 8.0)],
        ],
        peers=[
            Peer("Dask distributed", "c", 10_000, [500.0, 600.0, 550.0]),
            Peer("Spark, JVM tasks", "c", 10_000, [800.0, 900.0, 850.0]),
            Peer("Spark, JVM tasks", "c", 100_000, [900.0]),
            Peer("all tasks in one object", "c", 1000, [6.0, 6.0, 6.0]),
        ],
        one=[OneObject(1000, 60, 10.0, 18.0, 1e6)] * 3,
        lasting=[
            evolve(ran(256, 64.0, 2.0, 8), shards=8, all_of_it=evolve(SPENT, shard_patches=264.0, lost=64.0)),
            evolve(ran(256, 32.0, 2.0, 16), shards=8, all_of_it=evolve(SPENT, shard_patches=290.0, lost=20.0)),
        ],
        sized={512: ran(10_000, 2.0, 0.2)},
    )


def largest(change: Callable[[Ran], Ran]) -> Measured:
    """With our largest job changed so in each round."""
    kept = measured()
    return evolve(kept, runs=[kept.runs[0], [change(each) for each in kept.runs[1]]])


def spent(**changes: float) -> Callable[[Ran], Ran]:
    """What its servers were asked."""
    return lambda each: evolve(each, all_of_it=evolve(each.all_of_it, **changes))


def against(peer: Peer) -> Measured:
    """With one more peer."""
    kept = measured()
    return evolve(kept, peers=[*kept.peers, peer])


def lasting(**changes: float) -> Measured:
    """With tasks of 2 s that asked for so much where each worker has a shard; others are not promised anything."""
    kept = measured()
    return evolve(kept, lasting=[spent(**changes)(kept.lasting[0]), kept.lasting[1]])


def test_all_are_kept() -> None:
    assert [said for said, kept in promises(measured()) if not kept] == []


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        # 100,000 tasks in 9 s and a second of deployment are 10,000/s.
        (against(Peer("Dask distributed", "c", 100_000, [1251.0])), "at least 8 times the rate of Dask"),
        (against(Peer("Spark, JVM tasks", "c", 20_000, [1001.0])), "at least 10 times the rate of Spark, JVM"),
        (against(Peer("Spark, Python tasks", "c", 500, [1001.0])), "at least 10 times the rate of Spark, Python"),
        (against(Peer("one pod per task", "c", 20, [1001.0])), "at least 10 times the rate of one pod"),
        (largest(spent(cpu=24.0)), "at most 1.15 times the cost at 10,000"),
        (largest(spent(shard_patches=10_001.0)), "at most 0.1 patches per empty task"),
        (largest(spent(job_patches=21.0)), "the job is patched at most 8 times"),
        (largest(lambda each: evolve(each, largest=257 * KIB)), "no object above 256 KiB"),
        (largest(lambda each: evolve(each, database=215e6)), "at most a tenth of etcd's default quota"),
        (lasting(shard_patches=282.0), "at most 1.1 patches per task of 2 s"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_each_can_be_broken(found: Measured, broken: str) -> None:
    (said,) = [said for said, kept in promises(found) if not kept]
    assert said.startswith(broken)


def test_the_cost_of_a_task_is_bounded_in_itself() -> None:
    """Also where smaller jobs cost as much."""
    kept = measured()
    dear = evolve(kept, runs=[[spent(cpu=0.00031 * same[0].tasks)(each) for each in same] for same in kept.runs])
    assert [said for said, kept in promises(dear) if not kept] == ["at most 0.3 ms of server CPU per task: 0.310"]


def test_rates_are_compared_at_one_size_too_and_round_by_round() -> None:
    """As people and as programs read it: our largest job by each clock, then the one as large as the peer's."""
    found = comparisons(measured(), measured().peers[0])
    assert [(each.ours[0].tasks, each.clock.name) for each in found] == [
        (tasks, name) for tasks in (100_000, 10_000) for name in ("rate", "rate from creation", "rate with removal")
    ]
    assert [round(each.ratio, 2) for each in found[:3]] == [20.2, 18.18, 16.53]
    assert [round(each.least or 0, 2) for each in found[:3]] == [18.52, 16.67, 15.15]
    assert "| 20.2 / 18.2 / 16.5 times | 9.1 / 6.1 / 4.5 times | at least 18.5 |" in tables(measured())
    written = next(each for each in results(measured()) if each["name"].startswith("rate against Dask"))
    assert [round(ours / peer, 2) for ours, peer in zip(written["rounds"], written["peer_rounds"], strict=True)] == [
        20.0,
        18.52,
        22.73,
    ]
    assert written["ratio_in_every_round"] == 18.52


def test_lost_patches_are_told_beside_those_that_won() -> None:
    assert "| 256, 8 workers on 8 shards | 1.03 | 0.25 | 1.28 |" in tables(measured())
    assert "| 256, 16 workers on 8 shards | 1.13 | 0.0781 | 1.21 |" in tables(measured())
    names = {each["name"]: each["value"] for each in results(measured())}
    assert names["lost patches per task of 2 s, 8 workers on 8 shards"] == 0.25
