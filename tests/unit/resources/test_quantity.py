"""Quantities are read exactly, as Kubernetes reads them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from kubemr.resources.quantity import parse_quantity


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        (2, 2),
        ("2", 2),
        ("64Mi", 64 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("500m", Fraction(1, 2)),
        ("100n", Fraction(1, 10**7)),
        ("1k", 1000),
        ("1e3", 1000),
        ("1E3", 1000),
        ("2E", 2 * 10**18),
        ("1Ei", 2**60),
        ("-1", -1),
        ("+.5", Fraction(1, 2)),
        ("5.", 5),
    ],
)
def test_value(quantity: object, value: Fraction) -> None:
    """The number it stands for."""
    assert parse_quantity(quantity) == value


@pytest.mark.parametrize("quantity", ["", "Mi", "4 GB", "64MB", "1e", "--1", "1.5.", True, None, 1.5])
def test_no_quantity(quantity: object) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(ValueError, match="is not a quantity; write a number with a suffix"):
        parse_quantity(quantity)
