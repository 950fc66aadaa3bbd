"""Which tasks to claim: clean ones first, suspects alone."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from kubemr.tasks.claims import choose
from kubemr.tasks.shard import Shard

CLEAN, LOST_BEFORE, RUNNING = "pending/1/0/0/", "pending/2/0/1/", "running/1/0/0/w9-zzzzzz"


def shard_of(*states: str) -> Shard:
    """A shard that no server has seen."""
    tasks = {str(number): text for number, text in enumerate(states)}
    return Shard.parse({"metadata": {"namespace": "default", "name": "s"}, "tasks": tasks})


def test_only_pending_tasks(make_shard: Callable[..., Shard]) -> None:
    """As many as there are, and at most `count`."""
    shard = make_shard({0: RUNNING, 1: CLEAN, 2: CLEAN, 3: CLEAN})
    assert choose(shard, 2) == [1, 2]
    assert choose(shard, 9) == [1, 2, 3]
    assert choose(shard_of(RUNNING), 9) == []


def test_a_suspect_is_never_claimed_with_others() -> None:
    """Its holder died before: tasks in the same batch might be lost with it."""
    assert choose(shard_of(LOST_BEFORE, CLEAN, LOST_BEFORE, CLEAN), 9) == [1, 3]
    assert choose(shard_of(LOST_BEFORE, RUNNING, LOST_BEFORE), 9) == [0]


def test_contenders_begin_at_different_places() -> None:
    """And go round."""
    shard = shard_of(CLEAN, CLEAN, CLEAN)
    assert choose(shard, 2, rotation=2) == [2, 0]
    assert choose(shard, 2, rotation=4) == [1, 2]


@given(st.lists(st.sampled_from([CLEAN, LOST_BEFORE, RUNNING]), max_size=32), st.integers(1, 40), st.integers(0, 99))
def test_any_choice_is_clean_or_single(states: list[str], count: int, rotation: int) -> None:
    """Distinct pending tasks, not more than `count`, and a single one if it was lost before."""
    shard = shard_of(*states)
    chosen = choose(shard, count, rotation)
    assert len(set(chosen)) == len(chosen) <= count
    assert all(states[number] in (CLEAN, LOST_BEFORE) for number in chosen)
    if any(states[number] == LOST_BEFORE for number in chosen):
        assert len(chosen) == 1
    assert bool(chosen) is any(state != RUNNING for state in states)
