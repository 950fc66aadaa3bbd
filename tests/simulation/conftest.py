"""What a run of the seeds says of itself at its end: how fast it was."""

from __future__ import annotations

import pytest


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
