"""The checker knows a lock and a shard: what cannot have happened is found out, what may have is let pass.

Times are small integers: an operation may have taken effect at any of them from its call to its return.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubemr.tasks import encoding
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import Token
from support.binaries import CHECKER
from support.left_out import require
from support.linearizability.contest import FRESH, TASKS, check
from support.linearizability.history import seen, swaps

Verdict = Callable[..., str]


@pytest.fixture
def verdict(tmp_path: Path) -> Verdict:
    """What the checker says of a history."""
    require(CHECKER)

    def judge(*lines: dict[str, Any], seconds: float = 60) -> str:
        history = tmp_path / "history.jsonl"
        history.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return str(check([history], seconds)["result"])

    return judge


def line(key: str, kind: str, call: int, end: int | None, outcome: str, **fields: Any) -> dict[str, Any]:
    """An operation, each by a client of its own."""
    return {"key": key, "kind": kind, "client": call, "call": call, "return": end, "outcome": outcome} | fields


def acquire(call: int, end: int | None, me: str, outcome: str, **fields: Any) -> dict[str, Any]:
    """Somebody tries to take the lock."""
    return line("lock-1", "acquire", call, end, outcome, me=me, **fields)


def release(call: int, end: int | None, me: str, outcome: str, fence: int) -> dict[str, Any]:
    """Somebody gives it back."""
    return line("lock-1", "release", call, end, outcome, me=me, fence=fence)


def swap(call: int, end: int | None, outcome: str, old: str, new: str, seen: str | None = None) -> dict[str, Any]:
    """Somebody changes the shard's first task, or sees something else there."""
    swaps = [{"task": 0, "old": old, "new": new}]
    shown = None if seen is None else [seen] + [FRESH] * (TASKS - 1)
    return line("shard-1", "swap", call, end, outcome, swaps=swaps, seen=shown)


def read(call: int, end: int, seen: str) -> dict[str, Any]:
    """Somebody reads the shard, and sees this as the first task."""
    return line("shard-1", "read", call, end, "won", seen=[seen] + [FRESH] * (TASKS - 1))


HELD, BACK, NEXT = "running/1/0/0/w1", "pending/2/0/0/", "running/2/0/0/w2"


def test_a_lock_is_not_won_twice(verdict: Verdict) -> None:
    """Not even by two who tried at the same time."""
    history = acquire(1, 4, "a", "won", fence=1), acquire(2, 3, "b", "won", fence=1)
    assert verdict(*history) == "not linearizable"


def test_a_task_is_not_claimed_twice(verdict: Verdict) -> None:
    """Not even by two who tried at the same time."""
    history = swap(1, 4, "won", FRESH, HELD), swap(2, 3, "won", FRESH, "running/1/0/0/w2")
    assert verdict(*history) == "not linearizable"


def test_what_was_seen_of_a_lock_stays_so(verdict: Verdict) -> None:
    """An answer older than one that had been given before the question was asked is a violation (a stale read)."""
    history = acquire(1, 2, "a", "won", fence=1), acquire(3, 4, "b", "lost", holder="c", fence=7)
    assert verdict(*history) == "not linearizable"


@pytest.mark.parametrize(("begun", "result"), [(2, "linearizable"), (4, "not linearizable")])
def test_a_read_is_not_older_than_what_returned_before_it(verdict: Verdict, begun: int, result: str) -> None:
    """While the claim is under way it may still see the task unclaimed."""
    assert verdict(swap(1, 3, "won", FRESH, HELD), read(begun, 5, FRESH)) == result


@pytest.mark.parametrize("holder", ["a", "c"])
def test_an_operation_without_a_return_may_take_effect_late_or_never(verdict: Verdict, holder: str) -> None:
    """Of two such, either may have come first."""
    history = [acquire(1, None, "a", "unknown"), acquire(2, None, "c", "unknown")]
    history.append(acquire(9, 10, "b", "lost", holder=holder, fence=1))
    assert verdict(*history) == "linearizable"


def test_an_operation_without_a_return_does_not_take_effect_twice(verdict: Verdict) -> None:
    """One patch lands once at most."""
    taken, back = [swap(1, None, "unknown", FRESH, HELD), swap(3, 4, "won", HELD, FRESH)], read(5, 6, FRESH)
    assert verdict(*taken, back) == "linearizable"
    assert verdict(*taken, back, read(7, 8, HELD)) == "not linearizable"


@pytest.mark.parametrize(("outcome", "result"), [("lost", "not linearizable"), ("either", "linearizable")])
def test_a_release_is_lost_only_where_the_lock_is_not_held(verdict: Verdict, outcome: str, result: str) -> None:
    """Unless an answer was missed: it may have landed, and somebody else have the lock by now."""
    history = [acquire(1, 2, "a", "won", fence=1), release(3, 8, "a", outcome, 1), acquire(4, 5, "b", "won", fence=2)]
    assert verdict(*history) == result


@pytest.mark.parametrize(("outcome", "result"), [("lost", "not linearizable"), ("either", "linearizable")])
def test_a_task_is_lost_only_where_it_has_another_state(verdict: Verdict, outcome: str, result: str) -> None:
    """Unless an answer was missed: it may have been given back, and somebody else have claimed it by now."""
    back = swap(3, 8, outcome, HELD, BACK, seen=NEXT)
    history = [swap(1, 2, "won", FRESH, HELD), back, swap(4, 5, "won", BACK, NEXT), read(6, 7, NEXT)]
    assert verdict(*history) == result


@pytest.mark.parametrize(("together", "result"), [(True, "linearizable"), (False, "not linearizable")])
def test_a_claim_in_one_entry_is_lost_to_one_of_another_task(verdict: Verdict, together: bool, result: str) -> None:
    """As it tests all of them; where each task has an entry, the two would not have met."""
    form = encoding.collapse if together else encoding.expand
    document = {"metadata": {"namespace": "n", "name": "s"}, "tasks": form(dict.fromkeys(range(TASKS), FRESH))}
    shard = Shard.parse(document)
    first, second = ({task: shard.tasks[task].claim(Token(f"w{task}-aaaaaa"))} for task in range(2))
    shown = seen(Shard.parse(document | {"tasks": encoding.expand(dict(enumerate(seen(shard))) | {0: str(first[0])})}))
    won = line("shard-1", "swap", 1, 2, "won", swaps=swaps(shard, first))
    lost = line("shard-1", "swap", 1, 3, "lost", swaps=swaps(shard, second), seen=shown)
    assert verdict(won, lost) == result


def test_what_was_either_so_or_not_is_decided_when_it_returns(verdict: Verdict) -> None:
    """A patch that no longer can pass does not land afterwards."""
    history = [swap(1, 2, "won", FRESH, HELD), swap(3, 4, "either", HELD, BACK), read(5, 6, HELD)]
    assert verdict(*history) == "linearizable"
    assert verdict(*history, read(7, 8, BACK)) == "not linearizable"


def test_a_checker_that_runs_out_of_time_has_found_nothing_out(verdict: Verdict) -> None:
    """That is not the same as linearizable."""
    history = [acquire(number, None, f"a{number}", "unknown") for number in range(1, 40)]
    history.append(acquire(50, 51, "b", "lost", holder="nobody", fence=30))
    assert verdict(*history, seconds=0.2) == "unknown: the time ran out"


def test_a_history_that_is_none_is_an_error(verdict: Verdict) -> None:
    """An outcome that the checker does not know is not taken for one that it does."""
    with pytest.raises(RuntimeError, match='outcome "gone"'):
        verdict(acquire(1, 2, "a", "gone"))
