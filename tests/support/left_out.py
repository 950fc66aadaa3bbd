"""Tests that need what a machine may lack: left out there by name, required where everything must run.

A fixture that cannot provide what it stands for calls `leave_out`.
The tests that use it are then skipped, and pytest's summary names each of them with what it needs.
With `KUBEMR_REQUIRE_ALL=1` in the environment, as in continuous
integration, they fail instead: nothing is left out there without anybody noticing.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import NoReturn

import pytest

from support.binaries import REMEDY, Program


def leave_out(what: str, remedy: str) -> NoReturn:
    """Skip the test that asked, or fail it where everything is required.  `remedy` says how to get `what`."""
    reason = f"needs {what}: {remedy}"
    if os.environ.get("KUBEMR_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason} (KUBEMR_REQUIRE_ALL=1 forbids leaving it out)", pytrace=False)
    pytest.skip(reason)


def require(*programs: Program) -> None:
    """Leave the test out unless all `programs` are built."""
    missing = [program.name for program in programs if not program.is_built()]
    if missing:
        leave_out(" and ".join(missing), REMEDY)


def summarize(reporter: pytest.TerminalReporter) -> None:
    """Write a section that names every test that was left out, by what it needs."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        by_reason[reason.removeprefix("Skipped: ")].append(report.nodeid)
    if not by_reason:
        return
    count = sum(map(len, by_reason.values()))
    reporter.section(f"left out on this machine: {count} test{'s' if count > 1 else ''}")
    for reason, names in sorted(by_reason.items()):
        reporter.line(reason)
        for name in names:
            reporter.line(f"    {name}")
