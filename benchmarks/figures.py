"""What the benchmarks say of their figures, in the same way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
OUT: Final = ROOT / "build" / "bench"


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


def write(name: str, results: Sequence[Mapping[str, object]]) -> Path:
    """Write `build/bench/NAME.json`, and give its path: of each figure `name`, `value` and `unit`, and its peer's."""
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    return path
