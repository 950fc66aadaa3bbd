"""How long a key waits before it is tried again, by how often it failed.

Source of the figures: client-go's `NewTypedItemExponentialFailureRateLimiter(5*time.Millisecond, 1000*time.Second)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)
K = TypeVar("K", bound=Hashable)


class RateLimiter(Protocol[K_contra]):
    """Remembers failures by key and turns them into delays."""

    def when(self, key: K_contra) -> float:
        """Count one more failure of `key`; the seconds to wait."""

    def forget(self, key: K_contra) -> None:
        """`key` succeeded, or is given up: its failures no longer count."""

    def num_requeues(self, key: K_contra) -> int:
        """How often `key` has failed since it was last forgotten."""


class ItemExponentialLimiter(Generic[K]):
    """`base` * 2^failures, at most `longest`; each key for itself.  Seconds."""

    def __init__(self, base: float = 0.005, longest: float = 1000.0) -> None:
        self._base = base
        self._longest = longest
        self._failures: Counter[K] = Counter()

    def when(self, key: K) -> float:
        """Count one more failure of `key`; the seconds to wait."""
        exponent = min(self._failures[key], 64)  # beyond it any base is past `longest`, and floats end at 2^1024
        self._failures[key] += 1
        return min(self._longest, self._base * 2.0**exponent)

    def forget(self, key: K) -> None:
        """Start `key` from `base` again."""
        self._failures.pop(key, None)

    def num_requeues(self, key: K) -> int:
        """Failures since the last `forget`."""
        return self._failures.get(key, 0)
