"""The display of a running job."""

from __future__ import annotations

import io
import time

import pytest

from kubemr.cli.display import LineDisplay, display_for
from kubemr.cli.display.bars import BarDisplay
from kubemr.local.progress import StageCounts, Step


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_lines_where_there_is_no_terminal() -> None:
    """Each event is a line.  The last counts of a stage are always a line, other counts every few seconds."""
    stream = io.StringIO()
    display = display_for(stream, time.monotonic())
    assert isinstance(display, LineDisplay)
    display.job_created("job-1")
    display.step_begun(Step("PENDING", 0.1))
    for done in range(11):
        display.update_counts([StageCounts("map", 10, done, 10 - done, 1), StageCounts("reduce", 5, 0, 0, 0)])
    display.log("worker 0", '{"event": "lease_taken"}')
    display.close()
    lines = [line.split("s  ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines[:2] == ["job job-1 created", "PENDING"]
    assert lines[-2:] == ["map 10/10, 1 failed attempt", "[worker 0] lease_taken"]
    assert len(lines) <= 5


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job's phase and a bar for each stage; log lines above."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    display = display_for(stream, time.monotonic())
    assert isinstance(display, BarDisplay)
    display.job_created("job-1")
    display.update_counts([StageCounts("map", 10, 4, 2, 3), StageCounts("reduce", 5, 0, 0, 0)])
    for name in ("DEPLOYED", "map", "reduce"):
        display.step_begun(Step(name, 0.0))
    display.log("worker 0", "a [word] in brackets")
    display.close()
    text = stream.getvalue()
    for shown in ("job-1", "DEPLOYED", "4/10", "2 running, 3 failed attempts", "0/5", "a [word] in brackets"):
        assert shown in text
    assert text.endswith("\x1b[?25h"), "the cursor is shown again"
