"""What is printed when a run is over, and in which colours."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import pytest

from kubemr.cli.exit_codes import EXIT_DONE, EXIT_FAILED
from kubemr.cli.run import RunResult
from kubemr.cli.run_report import report
from kubemr.local.progress import JobProgress
from support.localrun import document

RED, GREEN, DIM, BOLD, END = "\x1b[31m", "\x1b[32m", "\x1b[2m", "\x1b[1m", "\x1b[0m"


def on_a_terminal(result: RunResult, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is printed to stderr where that is a terminal."""
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb") as screen:
        with os.fdopen(follower, "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            report(result)
        return b"".join(until_the_end(screen)).decode().replace("\r\n", "\n")


def until_the_end(screen: BinaryIO) -> Iterator[bytes]:
    """All that was printed to a terminal which is closed at its other end: that is an error when all has been read."""
    with suppress(OSError):
        while data := os.read(screen.fileno(), 65536):
            yield data


def ended(phase: str, **status: object) -> JobProgress:
    """A job that is over."""
    progress = JobProgress()
    job = document(inputs=["a"])
    job["metadata"] = {"name": "words", "namespace": "default", "uid": "u", "generation": 1}
    for seconds, name in ((0.5, "PENDING"), (1.25, phase)):
        progress.update_job({**job, "status": {"phase": name, **status}}, seconds)
    return progress


FAILED = RunResult(
    EXIT_FAILED,
    ended("FAIL"),
    2.0,
    "task 0 failed",
    log=[("worker 0", "why")],
    failed_attempts=[("0/map/0/1", "s3://b/log.txt")],
)
DONE = RunResult(EXIT_DONE, ended("COMPLETE", resultCount=1, results=["s3://b/0.txt"]), 2.0)


def test_a_failed_run_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Phase and cause are red, what is less important is dim; an empty NO_COLOR counts as none."""
    monkeypatch.setenv("NO_COLOR", "")
    shown = on_a_terminal(FAILED, monkeypatch)
    for part in (
        f"{DIM}[worker 0] {END}why\n",
        f"{DIM}   0.50 s    0.75 s   {END}PENDING     ",
        f"{RED}FAIL        {END}",
        f"{BOLD}words: {END}{RED}task 0 failed{END}\n",
        f"{DIM}0/map/0/1  {END}s3://b/log.txt\n",
        f"{BOLD}\ntime taken: 2.00 s{END}\n",
    ):
        assert part in shown


def test_no_colour_is_no_style(monkeypatch: pytest.MonkeyPatch) -> None:
    """https://no-color.org: NO_COLOR is respected on a terminal, too."""
    monkeypatch.setenv("NO_COLOR", "1")
    shown = on_a_terminal(FAILED, monkeypatch)
    assert "words: task 0 failed\n" in shown
    assert "\x1b" not in shown


def test_a_pipe_has_no_style(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither stderr nor the results, which alone are on stdout."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    report(DONE)
    printed = capsys.readouterr()
    assert printed.out == "s3://b/0.txt\n"
    assert printed.err == (
        "\n  began      took     phase\n"
        "   0.50 s    0.75 s   PENDING     \n"
        "   1.25 s             COMPLETE    \n"
        "\n1 result:\n"
        "\ntime taken: 2.00 s\n"
    )


def test_a_finished_run_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last phase is green."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert f"{GREEN}COMPLETE    {END}" in on_a_terminal(DONE, monkeypatch)
