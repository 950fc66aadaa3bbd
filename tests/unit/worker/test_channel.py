"""The frames between the runtime and the child."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.worker.channel import BadFrame, Decoder, encode


@given(st.lists(st.text()), st.integers(1, 50))
def test_messages_survive_any_cut_of_the_stream(texts: list[str], size: int) -> None:
    """Any string, lone surrogates too, however the bytes arrive."""
    texts.append("\ud800")
    stream = b"".join(encode({"type": "task", "text": text}) for text in texts)
    decoder = Decoder()
    found = [
        message["text"]
        for start in range(0, len(stream), size)
        for message in decoder.feed(stream[start : start + size])
    ]
    assert found == texts


@pytest.mark.parametrize("data", [b"hello, world", b"\0\0\0\x04null", b"\0\0\0\x02{}", b"\0\0\0\x03{x}", b"\0\0\0\0"])
def test_anything_else_is_refused(data: bytes) -> None:
    """The error shows how the bytes begin."""
    with pytest.raises(BadFrame, match="beginning with b"):
        Decoder().feed(data)
