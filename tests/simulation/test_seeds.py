"""Operators and workers in random interleavings, with crashes, lost answers, late writes, stale caches."""

from __future__ import annotations

import pytest

from support.simulation.scenario import play

BLOCKS = 20
"""The seeds are spread over so many tests, so that a failing one is named early."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per block of seeds."""
    if "seeds" in metafunc.fixturenames:
        total: int = metafunc.config.getoption("--seeds")
        size = -(-total // BLOCKS)
        blocks = [range(begin, min(begin + size, total)) for begin in range(0, total, size)]
        metafunc.parametrize("seeds", blocks, ids=[f"{block.start}-{block.stop - 1}" for block in blocks])


def test_every_seed_ends_with_the_exact_result_and_leaves_nothing(seeds: range) -> None:
    """The job completes with the exact result, its deletion leaves nothing, and no rule was broken on the way."""
    for seed in seeds:
        story = play(seed)
        assert story.problem is None, story.account()
