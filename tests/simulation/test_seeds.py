"""Operators and workers in random interleavings, with crashes, lost answers, late writes, stale caches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import pytest

from support.simulation.scenario import failure

BLOCKS = 20
"""The seeds are spread over so many tests, so that a failing one is named early."""
LINES = 80
"""Of the history of a failing seed; where it is the only one, all."""

Run = Callable[[Iterable[int]], Iterable[str]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per block of seeds."""
    if "seeds" in metafunc.fixturenames:
        total: int = metafunc.config.getoption("--seeds")
        first: int = metafunc.config.getoption("--first-seed")
        size = -(-total // BLOCKS)
        blocks = [range(begin, min(begin + size, first + total)) for begin in range(first, first + total, size)]
        metafunc.parametrize("seeds", blocks, ids=[f"{block.start}-{block.stop - 1}" for block in blocks])


@pytest.fixture(scope="module")
def run(pytestconfig: pytest.Config) -> Iterator[Run]:
    """Runs seeds, in several processes if asked for; gives what `failure` says of each, in order."""
    processes: int = pytestconfig.getoption("--seed-processes")
    judge = partial(failure, lines=1_000_000 if pytestconfig.getoption("--seeds") == 1 else LINES)
    if not processes:
        yield partial(map, judge)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield partial(pool.map, judge, chunksize=8)


def test_every_seed_ends_as_it_must_and_leaves_nothing(
    seeds: range, run: Run, record_property: Callable[[str, object], None]
) -> None:
    """With the exact result or a true cause; its deletion leaves nothing, and no rule was broken on the way."""
    record_property("seeds", len(seeds))
    for said in run(seeds):
        if said:
            pytest.fail(said, pytrace=False)
