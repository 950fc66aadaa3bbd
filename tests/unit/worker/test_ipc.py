"""The frames between the runtime and the child."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.worker.execution.ipc import Decoder, InvalidFrameError, Message, encode


@given(st.lists(st.text()), st.integers(1, 50))
def test_messages_survive_any_cut_of_the_stream(texts: list[str], size: int) -> None:
    """Any string, lone surrogates too, however the bytes arrive."""
    texts.append("\ud800")
    stream = b"".join(encode("failed", seq, text) for seq, text in enumerate(texts))
    decoder = Decoder()
    found = [
        message.body for start in range(0, len(stream), size) for message in decoder.feed(stream[start : start + size])
    ]
    assert found == texts


@given(st.integers(0, 2**64 - 1))
def test_a_message_needs_no_body(seq: int) -> None:
    """Then there is nothing behind its header."""
    one = encode("progress", seq)
    assert Decoder().feed(one + one) == [Message("progress", seq, None)] * 2
    assert len(one) == 14


HEADER = encode("done", 1)[:10]


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"hello, all the world",
        "äöü hello, world".encode(),
        bytes(14),
        b"\xff\x09" + bytes(12),
        HEADER + b"\x40\0\0\x01",
        HEADER + b"\0\0\0\x03{x}",
        HEADER + b'\0\0\0\x04"\xc3\xa4"',
    ],
    ids=["short text", "text", "text in UTF-8", "zeros", "no such kind", "too long", "no JSON", "no ASCII"],
)
def test_anything_else_is_refused(data: bytes) -> None:
    """The error shows how the bytes begin."""
    with pytest.raises(InvalidFrameError, match="beginning with b"):
        Decoder().feed(data)
