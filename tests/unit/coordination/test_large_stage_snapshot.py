"""A snapshot of a stage needs the memory of one page of shards, not of all shards."""

from __future__ import annotations

import pytest

from kubemr.coordination.job_view import TASKS_A_PAGE
from kubemr.coordination.stage_snapshot import take_snapshot
from support.largestage import LargeStage

TASKS = 100_000
MOST = 16.0
"""MiB; whole documents of so many tasks take 30 to 60."""


@pytest.mark.parametrize("replicas", [2, 1000])
def test_a_large_stage_is_seen_in_little_memory(replicas: int) -> None:
    """Large shards, or many of them."""
    large = LargeStage(TASKS, replicas)
    seen, peak = large.peak(take_snapshot(large.job, large.stage))
    assert seen.complete
    assert large.largest_page <= TASKS_A_PAGE
    assert peak < MOST


def test_its_index_is_written_in_pieces() -> None:
    """Not made as a whole first."""
    large = LargeStage(TASKS, 2)
    seen, _ = large.peak(take_snapshot(large.job, large.stage))
    assert max(len(piece) for piece in seen.index.pieces()) < 100_000
    assert seen.index.encode().count(b"1-w0-abc000") + seen.index.encode().count(b"1-w1-abc001") == TASKS
