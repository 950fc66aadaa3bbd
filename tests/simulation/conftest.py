"""What a run of the seeds says of itself at its end: how fast it was.  And its coverage is not measured."""

from __future__ import annotations

from collections.abc import Iterator

import coverage
import pytest


@pytest.fixture(scope="module", autouse=True)
def uncovered() -> Iterator[None]:
    """Stories make up minutes of CPU, four times as many where coverage is measured, and pass where tests have been."""
    measured = coverage.Coverage.current()
    if measured is None:
        yield
        return
    measured.stop()
    try:
        yield
    finally:
        measured.start()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Of the blocks of seeds that passed."""
    played = [
        (int(seeds), report.duration)
        for report in terminalreporter.getreports("passed")
        for name, seeds in report.user_properties
        if name == "seeds"
    ]
    if played:
        seeds, seconds = sum(seeds for seeds, _ in played), sum(seconds for _, seconds in played)
        terminalreporter.write_line(f"{seeds} seeds in {seconds:.1f} s, {seeds / seconds:.1f} a second")
