"""The report of a run: the job's phases, its results, and why it has failed."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Sequence
from typing import Final

from click import echo, style

from kubemr.cli.display.log_lines import format_line
from kubemr.cli.exit_codes import EXIT_DONE, EXIT_USAGE
from kubemr.cli.run import RunResult
from kubemr.local.progress import JobProgress
from kubemr.locks.effects import Json

SHOWN_ATTEMPTS: Final = 5


def report(result: RunResult, output: str | None = None, before_time: Callable[[], None] = lambda: None) -> None:
    """Print phases, times and errors to stderr; results, or the object (`output` yaml or json), to stdout.

    `before_time` is called before the last line, if the job is complete.
    """
    for source, line in result.log:
        say(style(f"[{source}] ", dim=True), format_line(line))
    document = result.progress.document
    if document is None:
        say(style(result.problem, fg="red"))
        if result.code == EXIT_USAGE:
            return
    else:
        _phases(result.progress)
        if output is not None:
            _object(document, output)
        else:
            _results(result.progress.status)
        if result.problem:
            say(style(f"{document['metadata']['name']}: ", bold=True), style(result.problem, fg="red"))
        _attempts(
            result.failed_attempts, f"kubemr logs {document['metadata']['name']} --store {shlex.quote(result.store)}"
        )
    if result.code == EXIT_DONE:
        before_time()
    say(style(f"\ntime taken: {result.seconds:.2f} s", bold=True))


def _attempts(failed_attempts: Sequence[tuple[str, str]], command: str) -> None:
    """Print where the logs of failed and lost attempts are, and the command that shows them."""
    if failed_attempts:
        plural = "s" if len(failed_attempts) > 1 else ""
        say(style(f"\n{len(failed_attempts)} failed or lost attempt{plural}: {command}", bold=True))
    for name, address in failed_attempts[:SHOWN_ATTEMPTS]:
        say(style(f"{name}  ", dim=True), address)
    if len(failed_attempts) > SHOWN_ATTEMPTS:
        say(f"and {len(failed_attempts) - SHOWN_ATTEMPTS} more")


def say(*parts: str) -> None:
    """Print a line of styled texts to stderr; without styles if that is no terminal, or if `NO_COLOR` is set."""
    echo("".join(parts), err=True, color=False if os.environ.get("NO_COLOR") else None)


def _phases(progress: JobProgress) -> None:
    """Print when each phase and stage began, and how long it took."""
    say(style("\n  began      took     phase", dim=True))
    totals = {stage.key: f"{stage.done}/{stage.total} tasks" for stage in progress.stages}
    steps = progress.timeline
    for number, step in enumerate(steps):
        took = f"{steps[number + 1].seconds - step.seconds:6.2f} s" if number + 1 < len(steps) else " " * 8
        colour = {"COMPLETE": "green", "FAIL": "red"}.get(step.name)
        name = step.name if step.name.isupper() else f"  {step.name}"
        say(
            style(f"{step.seconds:7.2f} s  {took}   ", dim=True),
            style(f"{name:<12}", fg=colour),
            style(totals.get(step.name, ""), dim=True),
        )


def _object(document: Json, output: str) -> None:
    if output == "json":
        print(json.dumps(document, indent=2))
    else:
        import yaml

        print(yaml.safe_dump(document, sort_keys=False), end="")


def _results(status: Json) -> None:
    if status.get("phase") != "COMPLETE":
        return
    count = status.get("resultCount", 0)
    say(style(f"\n{count} result{'' if count == 1 else 's'}{':' if count else ''}", bold=True))
    results = status.get("results") or []
    for result in results:
        print(result, flush=True)
    if len(results) < count:
        say(f"and {count - len(results)} more, all listed in ")
        print(status["resultsManifest"], flush=True)
