"""Parse Kubernetes quantities exactly: `64Mi`, `500m`, `1e3`, `2`."""

from __future__ import annotations

import re
from fractions import Fraction

from kubemr.resources.patterns import QUANTITY

_FORM = re.compile(QUANTITY, re.ASCII)
_SUFFIXES = {
    **{name: Fraction(1024) ** power for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{name: Fraction(1000) ** power for power, name in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
    **{name: Fraction(1, 1000**power) for power, name in enumerate(("m", "u", "n"), start=1)},
}


def parse_quantity(quantity: object) -> Fraction:
    """Return the number that a quantity stands for.  Raises ValueError for anything else."""
    if isinstance(quantity, int) and not isinstance(quantity, bool):
        return Fraction(quantity)
    if not isinstance(quantity, str) or not _FORM.fullmatch(quantity):
        raise ValueError(f"{quantity!r} is not a quantity; write a number with a suffix, such as 500m, 1.5 or 64Mi")
    for length in (2, 1):
        suffix = quantity[-length:]
        if suffix in _SUFFIXES and len(quantity) > length:
            return Fraction(quantity[:-length]) * _SUFFIXES[suffix]
    return Fraction(quantity)
