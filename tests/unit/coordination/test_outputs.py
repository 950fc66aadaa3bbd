"""The small documents by which stages hand on their outputs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.coordination.outputs import Index, decode_outputs, encode_outputs


@given(st.lists(st.text(max_size=20), max_size=40))
def test_an_index_survives(attempts: list[str]) -> None:
    """And the same index always gives the same bytes."""
    data = Index(attempts).encode()
    assert list(Index.decode(data).attempts) == attempts
    assert Index(tuple(attempts)).encode() == data


@given(st.dictionaries(st.integers(0, 10**6), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)))
def test_outputs_survive_in_the_order_of_their_numbers(outputs: dict[int, str]) -> None:
    """Not in that of their keys as strings."""
    decoded = decode_outputs(encode_outputs(outputs))
    assert decoded == outputs
    assert list(decoded) == sorted(outputs)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b'{"total": 2, "attempts": ["a"]}', b'{"total": 1}'])
def test_what_is_no_index(data: bytes) -> None:
    """An error, and nothing is guessed."""
    with pytest.raises(ValueError, match=r"index|Expecting"):
        Index.decode(data)


@pytest.mark.parametrize("data", [b"[]", b'{"0": 1}', b'{"x": "y"}', b"{"])
def test_what_is_no_document_of_outputs(data: bytes) -> None:
    """The same."""
    with pytest.raises(ValueError, match=r"outputs|Expecting|invalid literal"):
        decode_outputs(data)
