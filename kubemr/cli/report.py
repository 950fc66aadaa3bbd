"""What is printed when a run is over: the job's phases, its results, and if it failed, why."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from kubemr.local.progress import JobProgress
from kubemr.locks.request import Json

SHOWN_RESULTS = 20


def report(
    progress: JobProgress, output: str | None, seconds: float, problem: str, log: Sequence[tuple[str, str]]
) -> None:
    """Phases, times and errors to stderr; results, or the object (`output` yaml or json), to stdout."""
    say = _Speaker(sys.stderr.isatty())
    for source, line in log:
        say(f"[{source}] ", "dim", line)
    document = progress.document
    if document is not None:
        steps = [step for step in progress.timeline]
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            lasted = f"{following.seconds - step.seconds:7.2f} s" if following is not None else ""
            say(f"  {step.seconds:6.2f} s  ", "dim", f"{step.name:<10} {lasted}")
        if output == "json":
            print(json.dumps(document, indent=2))
        elif output == "yaml":
            import yaml

            print(yaml.safe_dump(document, sort_keys=False), end="")
        else:
            _results(document, say)
    name = document["metadata"]["name"] if document is not None else "the job"
    if problem:
        say(f"{name}: ", "bold", problem, "red")
    say("time taken ", "dim", f"{seconds:.2f} s")


def _results(document: Json, say: _Speaker) -> None:
    status = document.get("status") or {}
    if status.get("phase") != "COMPLETE":
        return
    count = status.get("resultCount", 0)
    say(f"{count} result{'' if count == 1 else 's'}", "bold", ":" if count else "")
    sys.stderr.flush()
    for result in status.get("results") or []:
        print(result)
    if status.get("resultsManifest"):
        print(status["resultsManifest"])
    sys.stdout.flush()


class _Speaker:
    """Writes to stderr, in colours on a terminal."""

    _CODES = {"dim": "2", "bold": "1", "red": "31"}

    def __init__(self, colours: bool) -> None:
        self._colours = colours

    def __call__(self, first: str, style: str, second: str = "", second_style: str = "") -> None:
        print(self._styled(first, style) + self._styled(second, second_style), file=sys.stderr)

    def _styled(self, text: str, style: str) -> str:
        if not self._colours or not style or not text:
            return text
        return f"\x1b[{self._CODES[style]}m{text}\x1b[0m"
