"""The display on a terminal: the job with its phase, and below it one bar per stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from kubemr.cli.display.log_lines import failure_counts, format_line
from kubemr.coordination.job_view import FINAL_PHASES
from kubemr.local.progress import StageCounts, Step

STYLES = {"COMPLETE": "green", "FAIL": "red"}


class BarDisplay:
    """Shows progress bars of rich."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._job = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("[bold]{task.description}"),
            TextColumn("{task.fields[phase]}"),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._stages = Progress(
            TextColumn("    {task.description:<8}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=self._console,
        )
        self._bars: dict[str, TaskID] = {}
        self._head = self._job.add_task("starting", total=None, phase="")
        self._live = Live(Group(self._job, self._stages), console=self._console, refresh_per_second=10)
        self._live.start()

    def job_created(self, name: str) -> None:
        """Show the job's name."""
        self._job.update(self._head, description=name)

    def step_begun(self, step: Step) -> None:
        """Show the phase, or start the clock of the stage's bar."""
        if step.name.isupper():
            style = STYLES.get(step.name, "cyan")
            self._job.update(self._head, phase=f"[{style}]{step.name}[/]")
            if step.name in FINAL_PHASES:
                self._job.update(self._head, total=1, completed=1)
        elif step.name in self._bars:
            self._stages.start_task(self._bars[step.name])

    def update_counts(self, stages: Sequence[StageCounts]) -> None:
        """Move the bars."""
        for stage in stages:
            bar = self._bars.get(stage.key)
            if bar is None:
                bar = self._stages.add_task(stage.key, total=stage.total, note="", start=not self._bars)
                self._bars[stage.key] = bar
            notes = [f"{stage.running} running"] if stage.running else []
            self._stages.update(bar, completed=stage.done, note=", ".join([*notes, *failure_counts(stage)]))

    def log(self, source: str, line: str) -> None:
        """Print a line of a process above the bars."""
        self._console.print(Text.assemble((f"[{source}] ", "dim"), format_line(line)), soft_wrap=True)

    def close(self) -> None:
        """Leave the bars as they are, and stop the clock of a job that did not end."""
        for bar in self._bars.values():
            self._stages.stop_task(bar)
        self._job.stop_task(self._head)
        self._live.stop()
