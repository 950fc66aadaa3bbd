"""The display on a terminal: one bar per stage, the phase beside the job's name."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from kubemr.cli.display import failures
from kubemr.coordination.job import FINAL_PHASES
from kubemr.local.progress import StageCounts, Step


class BarDisplay:
    """Progress bars by rich."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._lock = threading.Lock()
        self._bars: dict[str, TaskID] = {}
        self._name = ""
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=self._console,
            refresh_per_second=10,
            transient=False,
        )
        self._head = self._progress.add_task("starting", total=None, note="apiserver, operator, workers")
        self._progress.start()

    def begin(self, name: str) -> None:
        """The job was created."""
        self._name = name
        self._progress.update(self._head, description=name, note="")

    def step(self, step: Step) -> None:
        """A phase or stage has begun."""
        if step.name.isupper():
            self._progress.update(self._head, note=step.name)
            if step.name in FINAL_PHASES:
                self._progress.update(self._head, total=1, completed=1)
        elif step.name in self._bars:
            self._progress.start_task(self._bars[step.name])

    def counts(self, stages: Sequence[StageCounts]) -> None:
        """Move the bars."""
        for stage in stages:
            bar = self._bars.get(stage.key)
            if bar is None:
                bar = self._progress.add_task(stage.key, total=stage.total, note="", start=not self._bars)
                self._bars[stage.key] = bar
            note = f"{stage.running} running" if stage.running else ""
            self._progress.update(bar, completed=stage.done, note=note + failures(stage))

    def log(self, source: str, line: str) -> None:
        """A line that a process printed, above the bars."""
        self._console.print(Text.assemble((f"[{source}] ", "dim"), line), soft_wrap=True)

    def close(self) -> None:
        """Leave the bars as they are."""
        self._progress.stop()
