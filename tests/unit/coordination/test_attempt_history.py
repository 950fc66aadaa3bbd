"""What can be found again of the attempts at a job's tasks."""

from __future__ import annotations

import pytest

from kubemr.coordination.attempt_history import Selection, attempts, first_error, history
from kubemr.coordination.attempt_records import AttemptError, AttemptLog
from support.simulation.referee import Referee
from support.simulation.store import MemoryStore

JOB = "words-abcdefgh/"
A, B = "w0-aaaaaa", "w1-bbbbbb"


@pytest.fixture
def store() -> MemoryStore:
    """A store with the attempts of a job, and things that look like it."""
    store = MemoryStore(Referee(), lambda: False)
    error = AttemptError("ValueError: no\nTraceback", A, "10:00", "10:01").encode()
    for key, data in {
        f"0/map/2/1-{A}/error.json": error,
        f"0/map/2/1-{A}/log.txt": AttemptLog("map/2/x", b"trying\n", "10:00", "10:01", "failed").encode(),
        f"0/map/2/2-{B}/outputs.json": b"{}",
        f"0/map/2/2-{B}/part.txt": b"",
        f"0/map/10/1-{A}/lost.json": AttemptError("died", A, "10:02", "10:02").encode(),
        f"0/map/10/1-{A}/log.txt": AttemptLog("map/10/x", b"hal", "10:01").encode(),
        f"0/map/10/12-{B}/log.txt": AttemptLog("map/10/x", b"fine\n", "10:03", "10:04", "empty").encode(),
        f"0/map/10/9-{B}/log.txt": AttemptLog("map/10/x", b"cut\n", "10:03").encode(),
        f"1/reduce/0/1-{A}/error.json": b"[not ours]",
        "0/map/3/notes/error.json": error,
        f"0/map/3/1-{A}/mine/log.txt": b"",
        f"0/map/3/1-{A}/mine.txt": b"",
        "run-1/0-map.index.json": b"",
    }.items():
        store.objects[JOB + key] = data
    return store


def named(store: MemoryStore, text: str) -> list[str]:
    """The attempts of a selection, in order."""
    return [str(each) for each in sorted(attempts(store, JOB, Selection.parse(text)))]


def test_all_of_a_job_in_order_of_task_and_epoch(store: MemoryStore) -> None:
    """As numbers, not as text; what users stored is passed over."""
    assert [str(each) for each in sorted(attempts(store, JOB))] == [
        f"map/2/1-{A}",
        f"map/2/2-{B}",
        f"map/10/1-{A}",
        f"map/10/9-{B}",
        f"map/10/12-{B}",
        f"1/reduce/0/1-{A}",
    ]


def test_some_of_them(store: MemoryStore) -> None:
    """Of a stage, of a task, or one."""
    assert named(store, "1/reduce") == [f"1/reduce/0/1-{A}"]
    assert named(store, "map/2") == [f"map/2/1-{A}", f"map/2/2-{B}"]
    assert named(store, "0/map/2") == [f"map/2/1-{A}", f"map/2/2-{B}"]
    assert named(store, f"map/10/1-{A}") == [f"map/10/1-{A}"]
    assert named(store, "map/1") == []
    assert named(store, "reduce") == []


@pytest.mark.parametrize("text", ["", "17", "map/", "map/x", "shuffle/1", "map/1/2", "map/1/2-w7", "map/1/0-w0-aaaaaa"])
def test_what_names_no_task(text: str) -> None:
    """An error that shows how it is written."""
    with pytest.raises(ValueError, match=r"names no task: write map/17"):
        Selection.parse(text)


def test_what_the_records_say(store: MemoryStore) -> None:
    """How each ended, when, and why."""
    histories = {str(each): history(store, each) for each in attempts(store, JOB)}
    assert {name: (each.outcome, each.start, each.end, each.message) for name, each in histories.items()} == {
        f"map/2/1-{A}": ("failed", "10:00", "10:01", "ValueError: no\nTraceback"),
        f"map/2/2-{B}": ("done", "", "", ""),
        f"map/10/1-{A}": ("lost", "10:01", "10:02", "died"),
        f"map/10/9-{B}": ("unfinished", "10:03", "", ""),
        f"map/10/12-{B}": ("empty", "10:03", "10:04", ""),
        f"1/reduce/0/1-{A}": ("failed", "", "", ""),
    }
    logs = {name: each.log.printed for name, each in histories.items() if each.log is not None}
    assert logs[f"map/10/1-{A}"] == b"hal"
    assert len(logs) == 4


def test_the_first_error(store: MemoryStore) -> None:
    """The first of the run that says anything, in the order of epochs; or none."""
    found = first_error(store, attempts(store, JOB, Selection.parse("map/2")), 1)
    assert found is not None
    assert (str(found[0]), found[1].start) == (f"map/2/1-{A}", "10:00")
    assert first_error(store, attempts(store, JOB, Selection.parse("map/2")), 2) is None
    assert first_error(store, attempts(store, JOB, Selection.parse("map/10")), 1) is None
    assert first_error(store, attempts(store, JOB, Selection.parse("1/reduce")), 1) is None
