"""The table of faults: what was struck when, how long it took to make good, and what it cost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Row:
    """One fault that a job outlived.  Times in seconds."""

    fault: str
    seed: int
    struck_at: int
    """Tasks done when it struck."""
    recovery: float
    """From the fault until what it did was made good."""
    job: float
    """From the job's creation to its end."""
    losses: int
    failures: int


@dataclass
class Table:
    """All rows of a session, and the time of a job without a fault."""

    rows: list[Row] = field(default_factory=list)
    undisturbed: float = 0.0

    def write(self, reporter: pytest.TerminalReporter) -> None:
        """Print it."""
        reporter.section("faults")
        head = ("fault", "seed", "struck at", "recovery", "job", "losses", "failures")
        reporter.line("{:<48} {:>6} {:>10} {:>10} {:>8} {:>7} {:>9}".format(*head))
        for row in sorted(self.rows, key=lambda row: row.fault):
            done, recovery, job = f"{row.struck_at} done", f"{row.recovery:.1f} s", f"{row.job:.1f} s"
            line = f"{row.fault:<48} {row.seed:>6} {done:>10} {recovery:>10} {job:>8} {row.losses:>7} {row.failures:>9}"
            reporter.line(line)
        reporter.line(f"a job without a fault: {self.undisturbed:.1f} s")

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([asdict(row) for row in self.rows], indent=2) + "\n")
