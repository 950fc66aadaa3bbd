"""Which tasks an idle worker considers stragglers, and the probability with which it backs them up."""

from __future__ import annotations

import pytest

from kubemr.tasks.shard import Shard
from kubemr.tasks.state import Token
from kubemr.worker.scheduling.stragglers import INITIAL_TRIES, StragglerDetector
from support.bench import Bench

B = "w1-bbbbbb"


def count_overdue(detector: StragglerDetector, bench: Bench, shards: list[Shard], now: float) -> int:
    """Observe the shards, and return how many tasks are overdue."""
    detector.observe(shards, now)
    job = bench.job()
    return len(detector.overdue(job, job.stages[0], shards, now))


@pytest.fixture
def bench() -> Bench:
    """A job of 4 tasks, 1,000 workers."""
    bench = Bench()
    bench.deployed(inputs=["a", "b", "c", "d"], partitions=0, replicas=1000)
    return bench


def test_few_workers_try_and_twice_as_many_in_each_round(bench: Bench) -> None:
    """Eight of a thousand at first; all of them after some more rounds, in case those that tried are dead."""
    running = bench.write_tasks(bench.job(), {0: f"running/1/0/0/{B}", **dict.fromkeys((1, 2, 3), f"done/1/0/0/{B}")})
    detector = StragglerDetector(Token("w0-aaaaaa"))
    detector.record_durations([1.0])
    assert count_overdue(detector, bench, [running], 0.0) == 0
    probabilities = []
    for now in range(10, 20):
        assert count_overdue(detector, bench, [running], float(now)) == 1
        probabilities.append(detector.backup_probability(1, 1000))
    assert probabilities[:3] == [INITIAL_TRIES / 1000, 2 * INITIAL_TRIES / 1000, 4 * INITIAL_TRIES / 1000]
    assert probabilities[-1] == 1.0


def test_the_next_straggler_begins_with_few_again(bench: Bench) -> None:
    """When there was none in between."""
    running = bench.write_tasks(bench.job(), {0: f"running/1/0/0/{B}", **dict.fromkeys((1, 2, 3), f"done/1/0/0/{B}")})
    other = bench.write_tasks(bench.job(), {0: f"running/2/1/0/{B}"})
    detector = StragglerDetector(Token("w0-aaaaaa"))
    detector.record_durations([1.0])
    for now in (0.0, 10.0, 11.0, 12.0):
        count_overdue(detector, bench, [running], now)
    assert count_overdue(detector, bench, [other], 13.0) == 0
    assert count_overdue(detector, bench, [other], 20.0) == 1
    assert detector.backup_probability(1, 1000) == INITIAL_TRIES / 1000


def test_few_workers_all_try() -> None:
    """There is no contention to avoid."""
    detector = StragglerDetector(Token("w0-aaaaaa"))
    assert detector.backup_probability(1, 2) == 1.0


def test_observations_of_one_stage_do_not_count_in_the_next(bench: Bench) -> None:
    """Durations, observations and failures are forgotten."""
    running = bench.write_tasks(bench.job(), {0: f"running/1/0/0/{B}", **dict.fromkeys((1, 2, 3), f"done/1/0/0/{B}")})
    detector = StragglerDetector(Token("w0-aaaaaa"))
    detector.record_durations([1.0])
    count_overdue(detector, bench, [running], 0.0)
    assert count_overdue(detector, bench, [running], 40.0) == 1
    detector.reset()
    assert count_overdue(detector, bench, [running], 100.0) == 0
    detector.record_durations([1.0])
    assert count_overdue(detector, bench, [running], 101.0) == 0
    assert count_overdue(detector, bench, [running], 107.0) == 1


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({0: f"running/1/0/0/{B}", 1: "pending/1/0/0/"}, 0),
        ({0: "running/1/0/0/w0-aaaaaa", 1: f"done/1/0/0/{B}"}, 0),
        ({0: f"running/1/0/0/{B}", 1: "failed/1/4/0/"}, 1),
    ],
    ids=["pending", "its own", "none of these"],
)
def test_only_when_nothing_is_pending_and_never_its_own(bench: Bench, states: dict[int, str], expected: int) -> None:
    """There are tasks to claim, or no other holder."""
    shard = bench.write_tasks(bench.job(), {**dict.fromkeys((1, 2, 3), f"done/1/0/0/{B}"), **states})
    detector = StragglerDetector(Token("w0-aaaaaa"))
    detector.record_durations([1.0])
    count_overdue(detector, bench, [shard], 0.0)
    assert count_overdue(detector, bench, [shard], 60.0) == expected
