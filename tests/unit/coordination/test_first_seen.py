"""Since when attempts have been seen to run."""

from __future__ import annotations

from kubemr.coordination.first_seen import REMEMBERED, FirstSeen
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import TaskState, Token

A, B, C = Token("w1-aaaaaa"), Token("w2-bbbbbb"), Token("w3-cccccc")


def shard(*states: str, name: str = "s") -> Shard:
    """A shard of these tasks."""
    return Shard("default", name, dict(enumerate(map(TaskState.parse, states))), "open")


def test_an_attempt_is_known_by_task_epoch_and_holder() -> None:
    """A backup does not change when its holder's attempt began, and the next epoch is another attempt."""
    seen = FirstSeen()
    seen.record(shard(f"running/1/0/0/{A}", "pending/1/0/0/"), 1.0, C)
    seen.record(shard(f"running/1/0/0/{A}+{B}", f"running/1/0/0/{A}"), 2.0, C)
    seen.record(shard(f"running/2/1/1/{A}", f"done/1/0/0/{A}"), 3.0, C)
    known = [seen.since(shard(), *attempt) for attempt in ((0, 1, A), (0, 1, B), (1, 1, A), (0, 2, A), (1, 2, A))]
    assert known == [1.0, 2.0, 2.0, 3.0, None]
    assert seen.since(shard(name="other"), 0, 1, A) is None


def test_its_own_are_not_remembered() -> None:
    """The worker knows when they began."""
    seen = FirstSeen()
    seen.record(shard(f"running/1/0/0/{A}+{B}"), 1.0, A)
    assert (seen.since(shard(), 0, 1, A), seen.since(shard(), 0, 1, B)) == (None, 1.0)


def test_many_are_not_remembered_for_ever() -> None:
    """Those that were seen first are forgotten first; seen again, they had begun by then."""
    seen = FirstSeen()
    first, others = shard(f"running/1/0/0/{A}"), [f"running/1/0/0/{B}"] * REMEMBERED
    seen.record(first, 1.0, C)
    seen.record(shard(*others[1:], name="others"), 2.0, C)
    assert seen.since(first, 0, 1, A) == 1.0
    seen.record(shard(*others, name="others"), 3.0, C)
    assert seen.since(first, 0, 1, A) is None
    seen.record(first, 4.0, C)
    assert seen.since(first, 0, 1, A) == 4.0
