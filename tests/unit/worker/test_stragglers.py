"""What an idle worker takes for a straggler, and with which chance it tries to back it up."""

from __future__ import annotations

import pytest

from kubemr.tasks.shard import Shard
from kubemr.tasks.state import Token
from kubemr.worker.scheduling.stragglers import INITIAL_TRIES, StragglerDetector
from support.bench import Bench

B = "w1-bbbbbb"


def look(stragglers: StragglerDetector, bench: Bench, shards: list[Shard], now: float) -> int:
    """One look at them; gives how many tasks might be backed up."""
    stragglers.observe(shards, now)
    job = bench.job()
    return len(stragglers.overdue(job, job.stages[0], shards, now))


@pytest.fixture
def bench() -> Bench:
    """A job of 4 tasks, 1,000 workers."""
    bench = Bench()
    bench.deployed(inputs=["a", "b", "c", "d"], partitions=0, replicas=1000)
    return bench


def test_a_few_try_and_at_each_look_twice_as_many(bench: Bench) -> None:
    """Eight of a thousand at first; all of them after some more looks, should those who tried have been dead."""
    running = bench.write_tasks(bench.job(), {0: f"running/1/0/0/{B}", **dict.fromkeys((1, 2, 3), f"done/1/0/0/{B}")})
    stragglers = StragglerDetector(Token("w0-aaaaaa"))
    stragglers.record_durations([1.0])
    assert look(stragglers, bench, [running], 0.0) == 0
    chances = []
    for now in range(10, 20):
        assert look(stragglers, bench, [running], float(now)) == 1
        chances.append(stragglers.backup_probability(1, 1000))
    assert chances[:3] == [INITIAL_TRIES / 1000, 2 * INITIAL_TRIES / 1000, 4 * INITIAL_TRIES / 1000]
    assert chances[-1] == 1.0


def test_the_next_straggler_begins_with_few_again(bench: Bench) -> None:
    """When there was none in between."""
    running = bench.write_tasks(bench.job(), {0: f"running/1/0/0/{B}", **dict.fromkeys((1, 2, 3), f"done/1/0/0/{B}")})
    other = bench.write_tasks(bench.job(), {0: f"running/2/1/0/{B}"})
    stragglers = StragglerDetector(Token("w0-aaaaaa"))
    stragglers.record_durations([1.0])
    for now in (0.0, 10.0, 11.0, 12.0):
        look(stragglers, bench, [running], now)
    assert look(stragglers, bench, [other], 13.0) == 0
    assert look(stragglers, bench, [other], 20.0) == 1
    assert stragglers.backup_probability(1, 1000) == INITIAL_TRIES / 1000


def test_few_workers_all_try() -> None:
    """There is nobody to be considerate of."""
    stragglers = StragglerDetector(Token("w0-aaaaaa"))
    assert stragglers.backup_probability(1, 2) == 1.0


def test_what_was_learned_in_one_stage_is_nothing_in_the_next(bench: Bench) -> None:
    """Durations, observations and failures are forgotten."""
    running = bench.write_tasks(bench.job(), {0: f"running/1/0/0/{B}", **dict.fromkeys((1, 2, 3), f"done/1/0/0/{B}")})
    stragglers = StragglerDetector(Token("w0-aaaaaa"))
    stragglers.record_durations([1.0])
    look(stragglers, bench, [running], 0.0)
    assert look(stragglers, bench, [running], 40.0) == 1
    stragglers.reset()
    assert look(stragglers, bench, [running], 100.0) == 0
    stragglers.record_durations([1.0])
    assert look(stragglers, bench, [running], 101.0) == 0
    assert look(stragglers, bench, [running], 107.0) == 1


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
    """There is better to do, or nobody to join."""
    shard = bench.write_tasks(bench.job(), {**dict.fromkeys((1, 2, 3), f"done/1/0/0/{B}"), **states})
    stragglers = StragglerDetector(Token("w0-aaaaaa"))
    stragglers.record_durations([1.0])
    look(stragglers, bench, [shard], 0.0)
    assert look(stragglers, bench, [shard], 60.0) == expected
