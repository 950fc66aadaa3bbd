"""The records of an attempt can be read again, and a damaged record is recognised."""

from __future__ import annotations

import pytest

from kubemr.coordination.attempt_records import AttemptError, AttemptLog, is_record


def test_an_error() -> None:
    """With its times where they are known."""
    error = AttemptError("ValueError: ä", "w0-aaaaaa", "2026-01-31T12:00:00.000Z", "2026-01-31T12:00:01.500Z", 3)
    assert AttemptError.decode(error.encode()) == error
    assert AttemptError("no", "w0-aaaaaa").encode() == b'{"message": "no", "worker": "w0-aaaaaa", "run": 1}'
    assert AttemptError.decode(b'{"message": "no", "worker": "w0-aaaaaa"}') == AttemptError("no", "w0-aaaaaa", run=1)


@pytest.mark.parametrize("data", [b"", b"[]", b"no JSON", b"\xff", b'{"message": "no", "run": "2"}'])
def test_what_is_no_error(data: bytes) -> None:
    """Raises ValueError."""
    with pytest.raises(ValueError, match=r"not an error|Expecting|invalid start byte"):
        AttemptError.decode(data)


@pytest.mark.parametrize("printed", [b"one\ntwo\n", b'{"event": "of theirs"}\n', b"\xff\x00\n\n"])
def test_a_log(printed: bytes) -> None:
    """What was printed, to the byte, and what the two lines around it say."""
    log = AttemptLog("map/3/1-w0-aaaaaa", printed, "2026-01-31T12:00:00.000Z", "2026-01-31T12:00:01.000Z", "done")
    assert AttemptLog.decode(log.encode()) == log


def test_a_log_without_an_end() -> None:
    """The attempt still runs, or its worker died; its last line may be half a line."""
    log = AttemptLog("map/3/1-w0-aaaaaa", b"one\nhal", "2026-01-31T12:00:00.000Z")
    assert AttemptLog.decode(log.encode()) == log


def test_the_last_line_is_ended_before_the_end_is_said() -> None:
    """So that the end is a separate line."""
    log = AttemptLog.decode(AttemptLog("map/3/1-w0-aaaaaa", b"no line feed", "a", "b", "failed").encode())
    assert log.printed == b"no line feed\n"


@pytest.mark.parametrize("data", [b"", b"just text", b"{}\n", b"\xff\n"])
def test_any_other_text(data: bytes) -> None:
    """Is what was printed."""
    assert AttemptLog.decode(data) == AttemptLog("", data)


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        ("job-x/0/map/17/1-w0-abc123/log.txt", True),
        ("job-x/0/map/17/1-w0-abc123/error.json", True),
        ("job-x/0/map/17/1-w0-abc123/lost.json", True),
        ("job-x/0/map/17/1-w0-abc123/outputs.json", False),
        ("job-x/0/map/17/1-w0-abc123/mine/log.txt", False),
        ("job-x/run-1/log.txt", False),
    ],
)
def test_which_objects_are_records(key: str, is_one: bool) -> None:
    """By their place as well as by their name."""
    assert is_record(key) is is_one
