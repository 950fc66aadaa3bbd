"""The state string and the token: what they may look like, and that parsing loses nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.tasks.state import MAX_LENGTH, PATTERN, TOKEN, InvalidStateError, TaskState, make_token, parse_token

GOOD = [
    "pending/1/0/0/",
    "running/2/0/1/w7-k2p4x9",
    "running/2/0/1/w7-k2p4x9+w9-m4c0aa",
    "done/2/0/1/w7-k2p4x9",
    "empty/1/0/0/w0-000000",
    "failed/5/4/0/",
    "running/9999999/9999/9999/w999999-zzzzzz",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_follows_the_grammar_is_read_and_written_back(text: str) -> None:
    """`str` is the inverse of `parse`."""
    assert str(TaskState.parse(text)) == text
    assert len(text) <= MAX_LENGTH


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pending",
        "pending/1/0/0",
        "pending/0/0/0/",
        "pending/01/0/0/",
        "pending/1/00/0/",
        "running/1/0/01/w7-k2p4x9",
        "pending/1/0/0/w7-k2p4x9",
        "Pending/1/0/0/",
        "running/1/0/0/",
        "running/1/0/0/w7",
        "running/1/0/0/w7-K2P4X9",
        "running/1/0/0/w7-k2p4x9+",
        "running/1/0/0/w1-aaaaaa+w2-bbbbbb+w3-cccccc",
        "done/1/0/0/w1-aaaaaa+w2-bbbbbb",
        "done/1/0/0/",
        "failed/1/0/0/w1-aaaaaa",
        "pending/1/-1/0/",
        "pending/1/0/0/ ",
        None,
        7,
    ],
)
def test_anything_else_is_refused_by_name(text: object) -> None:
    """The error shows the string."""
    with pytest.raises(InvalidStateError, match=re.escape(repr(text))):
        TaskState.parse(text)


def test_a_line_feed_at_the_end_is_no_part_of_the_grammar() -> None:
    """`$` in a regular expression matches before one; the apiserver's does not."""
    with pytest.raises(InvalidStateError):
        TaskState.parse("pending/1/0/0/\n")
    with pytest.raises(InvalidStateError):
        parse_token("w1-aaaaaa\n")


@given(st.from_regex(PATTERN, fullmatch=True))
def test_every_string_of_the_pattern_survives(text: str) -> None:
    """The expression that the CRD carries describes exactly what is parsed and written."""
    assert str(TaskState.parse(text)) == text
    assert len(text) <= MAX_LENGTH


@given(st.integers(0, 999_999), st.integers(0, 2**64 - 1))
def test_a_token_tells_its_index(index: int, entropy: int) -> None:
    """`w<index>-<six of a-z0-9>`."""
    token = make_token(index, entropy)
    assert re.fullmatch(TOKEN, token)
    assert parse_token(token)[0] == index


def test_tokens_of_different_entropy_differ() -> None:
    """All of 36**6 incarnations can be had."""
    assert make_token(3, 0) == "w3-aaaaaa"
    assert make_token(3, 36**6 - 1) == "w3-999999"
    assert make_token(3, 36**6) == make_token(3, 0)
    assert len({make_token(3, entropy) for entropy in range(2000)}) == 2000


@pytest.mark.parametrize("index", [-1, 1_000_000])
def test_an_index_out_of_range_is_refused(index: int) -> None:
    """Six digits at most, so that a state fits its bound."""
    with pytest.raises(ValueError, match=f"worker index {index}"):
        make_token(index, 0)


@pytest.mark.parametrize("text", ["", "w1", "1-aaaaaa", "w1-aaaaa", "operator-1"])
def test_what_is_no_token_is_refused(text: str) -> None:
    """An operator's name, for instance."""
    with pytest.raises(InvalidStateError, match="is not a holder token"):
        parse_token(text)
