"""Go's spelling of JSON, which decides whether a `test` passes."""

from __future__ import annotations

import pytest

from kubemr.local.apiserver.go_json import decode_json, decode_json_exact, plain, spell


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a<b", '"a\\u003cb"'),
        ("é", '"é"'),
        ("a\nb\x01", '"a\\nb\\u0001"'),
        ("\u2028", '"\\u2028"'),
        (1, "1"),
        (0.5, "0.5"),
        (1e21, "1e+21"),
        (1e-7, "1e-7"),
        (0.00001, "0.00001"),
        (1e20, "100000000000000000000"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_scalars_are_spelled_as_by_go(value: object, text: str) -> None:
    """`encoding/json` of Go writes exactly this."""
    assert spell(value) == text


@pytest.mark.parametrize(
    "text", ['"\\u0061"', '"<"', '"a\\/b"', "1.0", "1e2", "-0", '{"a":["\\u003C"]}', '[1.50,{"b":"\\u00e9"}]']
)
def test_other_spellings_are_remembered(text: str) -> None:
    """They are decoded as they were written, and are plain once stored."""
    value = decode_json_exact(text)
    assert plain(value) == decode_json(text)
    while isinstance(value, dict | list):
        value = list(value.values())[-1] if isinstance(value, dict) else value[0]
    assert spell(value) in text


@pytest.mark.parametrize("text", ['{"a":1,}', "[1", '"\\u00', "{1:2}", "", "[1]]", '{"<":}', '["<" 1]', '{"<" 1}', "<"])
def test_malformed_documents_are_refused(text: str) -> None:
    """The slow decoder rejects them as the fast one does."""
    with pytest.raises(ValueError, match=r".+"):
        decode_json_exact(text)
