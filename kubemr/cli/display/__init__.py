"""The display of a run: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol, TextIO

from kubemr.cli.display.log_lines import failure_counts, format_line
from kubemr.local.progress import StageCounts, Step

LINE_SECONDS = 2.0
"""The least time between two lines of counts, if there is no terminal."""


class Display(Protocol):
    """Shows the progress of one job."""

    def job_created(self, name: str) -> None:
        """Show that the job was created."""
        ...

    def step_begun(self, step: Step) -> None:
        """Show that a phase or stage has begun."""
        ...

    def update_counts(self, stages: Sequence[StageCounts]) -> None:
        """Show the counts of the stages."""
        ...

    def log(self, source: str, line: str) -> None:
        """Show a line that a process printed.  Any thread may call it."""
        ...

    def close(self) -> None:
        """Stop showing anything."""
        ...


def display_for(stream: TextIO, started: float) -> Display:
    """Return the display that suits `stream`.

    `started` is when the run began, by the monotonic clock.
    """
    if stream.isatty():
        from kubemr.cli.display.bars import BarDisplay

        return BarDisplay(stream)
    return LineDisplay(stream, started)


class LineDisplay:
    """Prints one line per event, for logs and pipes."""

    def __init__(self, stream: TextIO, started: float) -> None:
        self._stream = stream
        self._started = started
        self._lock = threading.Lock()
        self._last = 0.0
        self._shown: dict[str, int] = {}

    def job_created(self, name: str) -> None:
        """Print the job's name."""
        self._print(f"job {name} created")

    def step_begun(self, step: Step) -> None:
        """Print the phase or stage."""
        self._print(step.name)

    def update_counts(self, stages: Sequence[StageCounts]) -> None:
        """Print a line for a stage that is complete, and at most every `LINE_SECONDS` for other changes."""
        now = time.monotonic()
        for stage in stages:
            if stage.done == self._shown.get(stage.key, 0):
                continue
            if stage.done == stage.total or now - self._last >= LINE_SECONDS:
                self._shown[stage.key] = stage.done
                self._last = now
                self._print(", ".join([f"{stage.key} {stage.done}/{stage.total}", *failure_counts(stage)]))

    def log(self, source: str, line: str) -> None:
        """Print a line of a process, with its source."""
        self._print(f"[{source}] {format_line(line)}")

    def close(self) -> None:
        """Do nothing: each line is printed at once."""

    def _print(self, text: str) -> None:
        with self._lock:
            print(f"{time.monotonic() - self._started:7.2f}s  {text}", file=self._stream, flush=True)
