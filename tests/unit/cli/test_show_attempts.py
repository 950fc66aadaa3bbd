"""`kubemr attempts` and `kubemr logs` on a store: which attempts they show, in which order, and how many."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kubemr.cli import main
from kubemr.coordination.attempt_records import AttemptError, AttemptLog
from kubemr.storage import DirectoryStore

A, B = "w0-aaaaaa", "w1-bbbbbb"
FOLDER = "words-abcdefgh"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Return a store with attempts that failed, were lost or printed, and one that only has outputs."""
    store = DirectoryStore(tmp_path)
    log = AttemptLog("map/1/x", b"trying\n\xff", "10:00", "10:01", "failed").encode()
    error = AttemptError("ValueError: no\nTraceback", A, "10:00", "10:01").encode()
    for key, data in {
        f"0/map/0/1-{A}/outputs.json": b"{}",
        f"0/map/0/1-{A}/log.txt": AttemptLog("map/0/x", b"fine\n", "10:00", "10:02", "done").encode(),
        f"0/map/1/1-{A}/log.txt": log,
        f"0/map/1/1-{A}/error.json": error,
        f"0/map/1/2-{B}/outputs.json": b"{}",
        f"0/reduce/0/1-{B}/lost.json": AttemptError("its worker died", B, end="10:05").encode(),
    }.items():
        store.put(f"{FOLDER}/{key}", data)
    return store


def kubemr(store: DirectoryStore, *arguments: str) -> Result:
    """Run a command on the store."""
    return CliRunner().invoke(main, [*arguments, "--store", str(store.root)])


def test_the_attempts_of_a_job(store: DirectoryStore) -> None:
    """Failed and lost attempts come first; an attempt that left only outputs is left out."""
    result = kubemr(store, "attempts", "words")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split(maxsplit=5) for line in result.stdout.splitlines()] == [
        ["ATTEMPT", "OUTCOME", "BEGAN", "ENDED", "PRINTED", "WHY"],
        [f"map/1/1-{A}", "failed", "10:00", "10:01", "9", "ValueError: no"],
        [f"reduce/0/1-{B}", "lost", "-", "10:05", "-", "its worker died"],
        [f"map/0/1-{A}", "done", "10:00", "10:02", "5"],
    ]


def test_the_attempts_at_a_task(store: DirectoryStore) -> None:
    """All attempts that left an object are shown."""
    result = kubemr(store, "attempts", "words", "map/1")
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [
        [f"map/1/1-{A}", "failed"],
        [f"map/1/2-{B}", "done"],
    ]


def test_of_many_the_first(store: DirectoryStore) -> None:
    """The number of the remaining attempts is printed."""
    result = kubemr(store, "attempts", "words", "--limit", "1")
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr == "2 more attempts: give a TASK or a larger --limit\n"


def test_the_logs_of_a_job(store: DirectoryStore) -> None:
    """Each log has a heading, and is followed by the error."""
    result = kubemr(store, "logs", "words")
    assert result.exit_code == 0
    assert result.stdout_bytes == (
        b"==> map/1/1-w0-aaaaaa  failed  10:00 to 10:01 <==\n"
        b"trying\n\xff\nValueError: no\nTraceback\n"
        b"==> reduce/0/1-w1-bbbbbb  lost  10:05 <==\n"
        b"its worker died\n"
        b"==> map/0/1-w0-aaaaaa  done  10:00 to 10:02 <==\n"
        b"fine\n"
    )


def test_the_log_of_one_attempt(store: DirectoryStore) -> None:
    """Only the log goes to stdout, so that another program can read it from a pipe."""
    result = kubemr(store, "logs", "words", f"map/1/1-{A}")
    assert result.stdout_bytes == b"trying\n\xff\n"
    assert result.stderr == "ValueError: no\nTraceback\n"


def test_nothing_there_is_said(store: DirectoryStore) -> None:
    """It is no error: most attempts leave nothing."""
    result = kubemr(store, "logs", "words", "map/7")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "no records found for map/7: it printed nothing and did not fail, or it has not run\n"


@pytest.mark.parametrize(
    ("job", "task", "said"),
    [
        ("words", "seven", "'seven' names no task: write map/17"),
        ("word", "map", "no objects of a job 'word' in file://"),
        ("words-abcdefg", "map", "no objects of a job 'words-abcdefg' in file://"),
    ],
)
def test_what_is_not_there(store: DirectoryStore, job: str, task: str, said: str) -> None:
    """The exit code is 2, and the error names the job or task."""
    result = kubemr(store, "logs", job, task)
    assert result.exit_code == 2
    assert f"Error: {said}" in result.stderr


def test_two_jobs_of_one_name(store: DirectoryStore) -> None:
    """The names of their folders identify them."""
    store.put(f"words-hgfedcba/0/map/0/1-{A}/log.txt", AttemptLog("", b"other\n", "", "", "done").encode())
    result = kubemr(store, "logs", "words")
    assert result.exit_code == 2
    assert "more than one job is named 'words'; choose one of words-abcdefgh, words-hgfedcba" in result.stderr
    result = kubemr(store, "logs", "words-hgfedcba", f"map/0/1-{A}")
    assert result.stdout == "other\n"


def test_a_store_that_is_none() -> None:
    """It is a mistake in the command line."""
    result = CliRunner().invoke(main, ["attempts", "words", "--store", "ftp://x"])
    assert result.exit_code == 2
    assert "'ftp://x' cannot be written to; give a directory or s3://bucket/prefix" in result.stderr
