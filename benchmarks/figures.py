"""What the benchmarks say of their figures, in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Of values in any order; 0.0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def shown(value: float) -> str:
    """For a table: three digits, or whole."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def verdict(promises: Iterable[tuple[str, bool]], page: str) -> int:
    """Print which promises of that page are not kept; the exit code."""
    broken = [f"NOT KEPT: {said}" for said, kept in promises if not kept]
    print(*(broken or [f"all promises of {page} are kept"]), sep="\n")
    return 1 if broken else 0
