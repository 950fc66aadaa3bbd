"""A seed tells the whole story again, word for word: that is what makes a failing one worth having."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from kubemr.tasks.state import TaskState
from support.simulation.planted import without_new_epoch
from support.simulation.scenario import failure, play

TESTS = Path(__file__).parents[1]
HISTORY = "from support.simulation.scenario import play; print(*play(17).history, sep='\\n')"


def test_the_same_seed_gives_the_same_history() -> None:
    """Nothing in a run depends on anything but the seed."""
    first, second = play(17), play(17)
    assert first.steps == second.steps
    assert first.history == second.history


@pytest.mark.long
def test_another_process_tells_the_same() -> None:
    """Whatever order its sets have."""
    told = set()
    for number in range(2):
        environ = os.environ | {"PYTHONHASHSEED": str(number), "PYTHONPATH": str(TESTS)}
        done = subprocess.run([sys.executable, "-c", HISTORY], env=environ, capture_output=True, text=True, check=True)
        told.add(done.stdout)
    assert len(told) == 1
    assert len(told.pop().splitlines()) > 100


@pytest.mark.long
def test_a_run_says_how_long_it_took() -> None:
    """That 5,000 seeds stay below five minutes is a promise: who runs them sees by how much."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--seeds=3", "tests/simulation/test_seeds.py"]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=True)
    assert re.search(r"^3 seeds in \d+\.\d s, \d+\.\d a second$", done.stdout, re.MULTILINE), done.stdout


def test_a_failing_seed_is_told_with_its_history_and_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here of a mistake: a task that comes back has the epoch that it had."""
    monkeypatch.setattr(TaskState, "_without", without_new_epoch)
    seed = next(seed for seed in count() if failure(seed, 5))
    said = failure(seed, 1_000_000)
    assert failure(seed, 1_000_000) == said
    story = play(seed)
    assert [f"seed {seed}: {story.steps} steps", *story.history] == [said.split(",")[0], *said.splitlines()[1:-2]]
    assert said.endswith(f"make simulate FIRST={seed} SEEDS=1")
