"""The checker by itself: what it takes for a violation, and what it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.binaries import CHECKER
from support.left_out import require
from support.linearizability.contest import check


@pytest.fixture(autouse=True)
def checker() -> None:
    """It is there."""
    require(CHECKER)


def acquire(call: int, end: int | None, me: str, outcome: str, **seen: Any) -> dict[str, Any]:
    """A line of a history."""
    line = {"key": "lock-1", "kind": "acquire", "client": call, "call": call, "return": end, "outcome": outcome}
    return line | {"me": me} | seen


def verdict(tmp_path: Path, *lines: dict[str, Any], seconds: float = 60) -> str:
    """What the checker says of a history."""
    history = tmp_path / "history.jsonl"
    history.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(check([history], seconds)["result"])


def test_a_lock_is_not_won_twice(tmp_path: Path) -> None:
    """Not even by two who tried at the same time."""
    won = acquire(1, 4, "a", "won", fence=1), acquire(2, 3, "b", "won", fence=1)
    assert verdict(tmp_path, *won) == "not linearizable"


def test_what_was_seen_stays_so(tmp_path: Path) -> None:
    """An answer older than one that had been given before the question was asked is a violation (a stale read)."""
    history = acquire(1, 2, "a", "won", fence=1), acquire(3, 4, "b", "lost", holder="c", fence=7)
    assert verdict(tmp_path, *history) == "not linearizable"


@pytest.mark.parametrize("holder", ["a", "c"])
def test_an_operation_without_a_return_may_take_effect_late_or_never(tmp_path: Path, holder: str) -> None:
    """Of two such, either may have come first."""
    history = [acquire(1, None, "a", "unknown"), acquire(2, None, "c", "unknown")]
    history.append(acquire(9, 10, "b", "lost", holder=holder, fence=1))
    assert verdict(tmp_path, *history) == "linearizable"


def test_a_checker_that_runs_out_of_time_has_found_nothing_out(tmp_path: Path) -> None:
    """That is not the same as linearizable."""
    history = [acquire(number, None, f"a{number}", "unknown") for number in range(1, 40)]
    history.append(acquire(50, 51, "b", "lost", holder="nobody", fence=30))
    assert verdict(tmp_path, *history, seconds=0.2) == "unknown: the time ran out"


def release(call: int, end: int, outcome: str) -> dict[str, Any]:
    """Of the lock that `a` has acquired first."""
    line = {"key": "lock-1", "kind": "release", "client": call, "call": call, "return": end, "outcome": outcome}
    return line | {"me": "a", "fence": 1}


@pytest.mark.parametrize(("outcome", "result"), [("lost", "not linearizable"), ("either", "linearizable")])
def test_who_holds_a_lock_does_not_lose_its_release(tmp_path: Path, outcome: str, result: str) -> None:
    """Unless an answer was missed: then it may have landed, and another have taken the lock since."""
    history = acquire(1, 2, "a", "won", fence=1), release(3, 9, outcome), acquire(4, 5, "b", "won", fence=2)
    assert verdict(tmp_path, *history) == result


@pytest.mark.parametrize(("outcome", "result"), [("lost", "not linearizable"), ("either", "linearizable")])
def test_who_holds_a_task_does_not_lose_its_release(tmp_path: Path, outcome: str, result: str) -> None:
    """The same of a shard."""
    fresh, mine, back, theirs = "pending/1/0/0/", "running/1/0/0/a", "pending/2/0/0/", "running/2/0/0/b"
    rest = [fresh] * 31

    def swap(call: int, end: int, outcome: str, old: str, new: str) -> dict[str, Any]:
        line = {"key": "shard-1", "kind": "swap", "client": call, "call": call, "return": end, "outcome": outcome}
        return line | {"swaps": [{"task": 0, "old": old, "new": new}], "seen": [theirs, *rest]}

    history = swap(1, 2, "won", fresh, mine), swap(3, 9, outcome, mine, back), swap(4, 5, "won", back, theirs)
    assert verdict(tmp_path, *history) == result
