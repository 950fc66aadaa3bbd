"""The benchmark's stopwatch stops for claims only: a commit names running tasks, too, and only tests them."""

from __future__ import annotations

from typing import Any

import pytest

from coordination.empty_worker import claims
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import TaskState

PENDING, RUNNING, DONE = "pending/1/0/0/", "running/1/0/0/w0-aaaaaa", "done/1/0/0/w0-aaaaaa"


def patch(before: list[str], after: dict[int, str], *, together: bool) -> list[dict[str, Any]]:
    """What a worker sends that moves these tasks of a shard."""
    tasks = {number: TaskState.parse(text) for number, text in enumerate(before)}
    change = Shard("default", "one", tasks, "open", together).change(
        {number: TaskState.parse(text) for number, text in after.items()}
    )
    return change.body


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([PENDING, PENDING], {0: RUNNING, 1: RUNNING}, True),
        ([PENDING, PENDING], {1: RUNNING}, True),
        ([RUNNING, PENDING], {0: DONE, 1: RUNNING}, True),
        ([RUNNING, PENDING, PENDING], {0: DONE, 1: RUNNING}, True),
        ([RUNNING, RUNNING], {0: DONE, 1: DONE}, False),
        ([RUNNING, RUNNING], {0: DONE}, False),
    ],
    ids=["all", "one", "commit and claim of all", "commit and claim", "commit of all", "commit of one"],
)
def test_a_claim_is_what_makes_a_task_a_running_one(before: list[str], after: dict[int, str], told: bool) -> None:
    assert claims(patch(before, after, together=False)) == told


@pytest.mark.parametrize(
    ("state", "after", "told"),
    [
        (PENDING, {0: RUNNING, 1: RUNNING}, True),
        (PENDING, {1: RUNNING}, True),
        (RUNNING, {0: DONE, 1: DONE}, False),
        (RUNNING, {0: DONE}, False),
    ],
    ids=["all", "one", "commit of all", "commit of one"],
)
def test_one_entry_that_becomes_running_is_a_claim(state: str, after: dict[int, str], told: bool) -> None:
    """And no commit is one that leaves the others of such a shard running."""
    assert claims(patch([state, state], after, together=True)) == told
