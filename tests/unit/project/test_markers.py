"""Soak tests run only where `-m` names them; long ones run unless it leaves them out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TESTS = """
import pytest

def test_quick() -> None: ...

@pytest.mark.long
def test_long() -> None: ...

@pytest.mark.soak
def test_soak() -> None: ...

@pytest.mark.cluster
def test_cluster() -> None: ...
"""


@pytest.mark.parametrize(
    ("arguments", "collected"),
    [
        ([], ["quick", "long"]),
        (["-m", "not long"], ["quick"]),  # make test
        (["-m", "long"], ["long"]),  # make test-long
        (["-m", "soak"], ["soak"]),  # make soak
        (["-m", "cluster", "--cluster"], ["cluster"]),  # make e2e
    ],
    ids=" ".join,
)
def test_which_tests_a_run_has(tmp_path: Path, arguments: list[str], collected: list[str]) -> None:
    """By the hooks of tests/conftest.py."""
    file = tmp_path / "test_it.py"
    file.write_text(TESTS)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")])
    options = ["-c", "setup.cfg", "-p", "conftest", "-p", "no:cacheprovider", "--collect-only", "-q"]
    command = [sys.executable, "-m", "pytest", *options, *arguments, str(file)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert [line.partition("::test_")[2] for line in done.stdout.splitlines() if "::test_" in line] == collected
