"""Values are printed as Go prints them."""

from __future__ import annotations

import pytest

from kubemr.resources.go_format import bad_value, marshal, number, quote


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", '"plain"'),
        ('a"b\\c', r'"a\"b\\c"'),
        ("a\nb\tc\r", r'"a\nb\tc\r"'),
        ("\x00\x7f", r'"\x00\x7f"'),
        ("é 世", '"é 世"'),
        ("\u00a0\u2028", r'"\u00a0\u2028"'),
        ("\U000e0001", r'"\U000e0001"'),
    ],
)
def test_quote(text: str, quoted: str) -> None:
    """strconv.Quote."""
    assert quote(text) == quoted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (3.0, "3"),
        (2.5, "2.5"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e21, "1.5e+21"),
        (1e-7, "1e-07"),
        (0.0001, "0.0001"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
    ],
)
def test_number(value: float, text: str) -> None:
    """%v of int64 and float64."""
    assert number(value) == text


def test_marshal() -> None:
    """json.Marshal: sorted, compact, HTML escaped."""
    assert marshal({"b": [1, None], "a": "<&>"}) == r'{"a":"\u003c\u0026\u003e","b":[1,null]}'


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), ("x", '"x"'), (1, "1"), ([], "[]")])
def test_bad_value(value: object, text: str) -> None:
    """What follows `Invalid value: `."""
    assert bad_value(value) == text
