"""Any process reclaims the tasks of dead holders."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kubemr.locks import RequestRefusedError
from kubemr.tasks.claims import ShardNotFoundError, mark_lost
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import Token
from support.bench import DENIED, Bench, patches

A, B, C = Token("w0-aaaaaa"), Token("w1-bbbbbb"), Token("w2-cccccc")
TASKS = {0: f"running/1/0/0/{A}", 1: f"running/1/0/2/{A}", 2: f"running/1/0/0/{A}+{B}", 3: f"done/1/0/0/{A}"}
Make = Callable[..., Shard]


def texts(shard: Shard) -> list[str]:
    """The tasks as strings."""
    return [str(state) for state in shard.tasks.values()]


def test_all_of_a_dead_holders_tasks_in_one_patch(bench: Bench, make_shard: Make) -> None:
    """A loss counts if no holder is left; one loss too many fails the task; a commit stays."""
    shard = make_shard(TASKS, hint="drained")
    after = bench.run(mark_lost(shard, {A}, max_losses=2))
    assert texts(after) == ["pending/2/0/1/", "failed/1/0/3/", f"running/1/0/1/{B}", f"done/1/0/0/{A}"]
    assert Shard.parse(bench.get(shard.target)).hint == "open"
    assert len(bench.requests) == 1


def test_nobody_of_it_is_dead(bench: Bench, make_shard: Make) -> None:
    """Then no request is sent."""
    shard = make_shard(TASKS)
    assert bench.run(mark_lost(shard, {C}, 2)) is shard
    assert bench.requests == []


def test_a_lost_race_gives_the_shard_as_it_is(bench: Bench, make_shard: Make) -> None:
    """The holder committed after all, or another process reclaimed the task: nothing is counted twice."""
    shard = make_shard(TASKS)
    bench.set(shard.target, "/tasks/0", f"done/1/0/0/{A}")
    after = bench.run(mark_lost(shard, {A}, 2))
    assert texts(after)[:2] == [f"done/1/0/0/{A}", f"running/1/0/2/{A}"]


def test_a_loss_whose_answer_was_lost_is_counted_once(bench: Bench, make_shard: Make) -> None:
    """The look afterwards shows it."""
    shard = make_shard({0: TASKS[0]})
    bench.lose(patches("mapreducetaskshards"))
    assert texts(bench.run(mark_lost(shard, {A}, 2))) == ["pending/2/0/1/"]


def test_a_hint_is_repaired_in_passing(bench: Bench, make_shard: Make) -> None:
    """The answer shows more than this observer knew."""
    shard = make_shard({0: TASKS[0], 1: "pending/1/0/0/"})
    bench.set(shard.target, "/tasks/1", "failed/1/4/0/")
    bench.run(mark_lost(shard, {A}, 0))
    assert Shard.parse(bench.get(shard.target)).hint == "drained"


def test_a_shard_that_is_gone_and_one_that_must_not_be_changed(bench: Bench, make_shard: Make) -> None:
    """The job was deleted; rights were taken away."""
    shard = make_shard(TASKS)
    bench.answer(patches("mapreducetaskshards"), DENIED)
    with pytest.raises(RequestRefusedError):
        bench.run(mark_lost(shard, {A}, 2))
    bench.delete(shard.target)
    with pytest.raises(ShardNotFoundError):
        bench.run(mark_lost(shard, {A}, 2))
