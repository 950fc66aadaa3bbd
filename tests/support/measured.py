"""Coverage is measured in the process that runs the tests, and only while tests of the gated packages run.

`make unit` sets `COVERAGE_PROCESS_START`: coverage then starts with each Python process, before it imports anything.
That serves the processes in which pytest-xdist runs tests.  What a test starts is not measured: it would be several
times slower.  For the same reason tests outside of `FOLDERS` are not measured: they pass through the gated packages
as well, and are not what shows that a line of them is tested.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import coverage
import pytest

VARIABLE = "COVERAGE_PROCESS_START"
UNIT = Path(__file__).resolve().parent.parent / "unit"
FOLDERS = frozenset({"client", "informer", "inputs", "locks", "operator", "reconcile", "tasks", "workqueue"})
"""Below `tests/unit`: the tests of kubemr/controller, kubemr/locks and kubemr/tasks."""


def spare_children(config: pytest.Config) -> None:
    """Keep coverage out of the processes that tests start; where pytest-xdist runs the tests, it needs the variable."""
    if not config.getoption("numprocesses", None):
        os.environ.pop(VARIABLE, None)


@contextmanager
def only_in_its_folders(test: Path) -> Iterator[None]:
    """Stop measuring, where it is measured at all, unless the file `test` is in one of `FOLDERS`."""
    measured = coverage.Coverage.current()
    if measured is None or (test.is_relative_to(UNIT) and test.relative_to(UNIT).parts[0] in FOLDERS):
        yield
        return
    measured.stop()
    try:
        yield
    finally:
        measured.start()
