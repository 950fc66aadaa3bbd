"""Of what an attempt prints, the beginning and the end are kept, however it arrives."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.worker.execution.log_buffer import LogBuffer


def kept(bound: int, *pieces: bytes) -> bytes:
    """What is kept of the pieces."""
    buffer = LogBuffer(bound)
    for task in pieces:
        buffer.add("stdout", task)
    return buffer.content()


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 60))
def test_it_does_not_matter_in_which_pieces_it_comes(pieces: list[bytes], bound: int) -> None:
    """Threads read what there is."""
    text = b"".join(pieces)
    assert kept(bound, *pieces) == kept(bound, text) == kept(bound, *(bytes([each]) for each in text))


@given(st.lists(st.sampled_from([b"a", b"bb", b"\n"]), max_size=80), st.integers(1, 60))
def test_nothing_goes_missing_without_being_counted(pieces: list[bytes], bound: int) -> None:
    """Within the bound all is there; beyond it, beginning, end and count make up the whole."""
    text = b"".join(pieces)
    found = kept(bound, text)
    if len(text) <= bound:
        assert found == text
        return
    match = re.fullmatch(rb"(?s)(.*?)(\{.*?\})\n(.*)", found)
    assert match is not None, found
    head, line, tail = match.groups()
    left_out = json.loads(line)["left_out_bytes"]
    assert text.endswith(tail)
    extra = len(head) + left_out + len(tail) - len(text)
    # A line feed is added where the beginning ends within a line.
    assert (extra, head) in ((0, text[: len(head)]), (1, text[: len(head) - 1] + b"\n"))
    assert len(head) + len(tail) <= bound + 1


def test_lines_are_cut_in_two_only_where_one_does_not_fit() -> None:
    """Whole lines on both sides of the gap."""
    text = b"".join(b"line %d\n" % number for number in range(10))
    assert kept(40, text) == b'line 0\nline 1\n{"event": "log_shortened", "left_out_bytes": 42}\nline 8\nline 9\n'
    assert kept(8, b"x" * 100) == b'xxxx\n{"event": "log_shortened", "left_out_bytes": 92}\nxxxx'


@pytest.mark.parametrize("bound", [1, 1000])
def test_it_needs_little_memory(bound: int) -> None:
    """However much is printed."""
    buffer = LogBuffer(bound)
    for _ in range(1000):
        buffer.add("stdout", b"x" * 1000)
    assert len(buffer._tail) <= 2 * bound
    assert len(buffer.content()) <= bound + 60


def test_lines_of_two_streams_do_not_mix() -> None:
    """Each line is added when it is complete; incomplete lines are added at the end."""
    buffer = LogBuffer(1000)
    for stream, text in [("stdout", b"one, "), ("stderr", b"oh"), ("stdout", b"two\nand"), ("stderr", b" no\n!")]:
        buffer.add(stream, text)
    assert buffer.content() == b"one, two\noh no\nand!"
