"""What is printed when a run is over: the job's phases, its results, and if it failed, why."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kubemr.cli.display.log_lines import readable
from kubemr.cli.run import EXIT_DONE, EXIT_USAGE, RunResult
from kubemr.local.progress import JobProgress
from kubemr.locks.effects import Json

SHOWN_ATTEMPTS: Final = 5

_CODES: Final[Mapping[str, str]] = {"": "", "dim": "2", "bold": "1", "red": "31", "green": "32"}


def report(result: RunResult, output: str | None = None, before_time: Callable[[], None] = lambda: None) -> None:
    """Phases, times and errors to stderr; results, or the object (`output` yaml or json), to stdout.

    `before_time` is called before the last line, if the job is complete.
    """
    for source, line in result.log:
        say((f"[{source}] ", "dim"), (readable(line), ""))
    document = result.progress.document
    if document is None:
        say((result.problem, "red"))
        if result.code == EXIT_USAGE:
            return
    else:
        _phases(result.progress)
        if output is not None:
            _object(document, output)
        else:
            _results(result.progress.status)
        if result.problem:
            say((f"{document['metadata']['name']}: ", "bold"), (result.problem, "red"))
        _attempts(
            result.failed_attempts, f"kubemr logs {document['metadata']['name']} --store {shlex.quote(result.store)}"
        )
    if result.code == EXIT_DONE:
        before_time()
    say((f"\ntime taken: {result.seconds:.2f} s", "bold"))


def _attempts(told: Sequence[tuple[str, str]], command: str) -> None:
    """Where the logs of attempts are that came to nothing, and the command that shows them."""
    if told:
        say((f"\n{len(told)} attempt{'s' if len(told) > 1 else ''} came to nothing: {command}", "bold"))
    for name, address in told[:SHOWN_ATTEMPTS]:
        say((f"{name}  ", "dim"), (address, ""))
    if len(told) > SHOWN_ATTEMPTS:
        say((f"and {len(told) - SHOWN_ATTEMPTS} more", ""))


def say(*parts: tuple[str, str]) -> None:
    """A line of texts with their styles to stderr, in colours on a terminal."""
    coloured = sys.stderr.isatty()
    line = "".join(f"\x1b[{_CODES[style]}m{text}\x1b[0m" if coloured and style else text for text, style in parts)
    print(line, file=sys.stderr, flush=True)


def _phases(progress: JobProgress) -> None:
    """When each phase and stage began, and how long it took."""
    say(("\n  began      took     phase", "dim"))
    totals = {stage.key: f"{stage.done}/{stage.total} tasks" for stage in progress.stages}
    steps = progress.timeline
    for number, step in enumerate(steps):
        took = f"{steps[number + 1].seconds - step.seconds:6.2f} s" if number + 1 < len(steps) else " " * 8
        style = {"COMPLETE": "green", "FAIL": "red"}.get(step.name, "")
        name = step.name if step.name.isupper() else f"  {step.name}"
        say((f"{step.seconds:7.2f} s  {took}   ", "dim"), (f"{name:<12}", style), (totals.get(step.name, ""), "dim"))


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
    say((f"\n{count} result{'' if count == 1 else 's'}{':' if count else ''}", "bold"))
    results = status.get("results") or []
    for result in results:
        print(result, flush=True)
    if len(results) < count:
        say((f"and {count - len(results)} more, all listed in ", ""))
        print(status["resultsManifest"], flush=True)
