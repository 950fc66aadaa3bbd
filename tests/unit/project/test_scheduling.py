"""Tests that share a server stay in one process of pytest-xdist, and long ones that share nothing are spread."""

from __future__ import annotations

from pathlib import Path

from support.scheduling import APART, ONE_SERVER, unit_of

ROOT = Path(__file__).parents[3]


def test_tests_of_a_file_stay_together() -> None:
    """They share the fixtures of their module."""
    assert unit_of("tests/unit/a/test_b.py::test_c[d::e]") == unit_of("tests/unit/a/test_b.py::test_f")
    assert unit_of("tests/unit/a/test_b.py::test_c") != unit_of("tests/unit/a/test_g.py::test_c")


def test_one_process_runs_a_folder_that_shares_a_server() -> None:
    """Both names are those of files that exist."""
    first, second, *_ = sorted((ROOT / ONE_SERVER).glob("test_*.py"))
    assert unit_of(f"{ONE_SERVER}{first.name}::test_a") == unit_of(f"{ONE_SERVER}{second.name}::test_b")


def test_tests_that_share_nothing_are_spread() -> None:
    """The file named exists."""
    assert (ROOT / APART).is_file()
    assert unit_of(f"{APART}::test_a") != unit_of(f"{APART}::test_b")
