"""A delaying queue that chooses the delay: a key that keeps failing waits longer each time.

Call `forget` as soon as a key succeeds.  The key stays in the queue, but its next failure counts as the first.

Source of the figures: client-go's `NewTypedItemExponentialFailureRateLimiter(5*time.Millisecond, 1000*time.Second)`.
client-go's default takes the maximum of that and a token bucket of 10 keys a second for the whole queue.
There is no bucket here: failures of some keys must not delay the retries of others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from kubemr.controller.clock import Clock
from kubemr.controller.workqueue.delaying_queue import DelayingQueue
from kubemr.controller.workqueue.metrics import QueueMetrics

K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)
K = TypeVar("K", bound=Hashable)


class RateLimiter(Protocol[K_contra]):
    """Counts failures by key and turns them into delays."""

    def when(self, key: K_contra) -> float:
        """Count one more failure of `key` and return the seconds to wait."""

    def forget(self, key: K_contra) -> None:
        """Reset the failures of `key`, which succeeded or was given up."""

    def num_requeues(self, key: K_contra) -> int:
        """Return how often `key` has failed since the last `forget`."""


class ItemExponentialLimiter(Generic[K]):
    """Delays of `base` * 2^failures seconds, at most `longest`, counted separately for each key."""

    def __init__(self, base: float = 0.005, longest: float = 1000.0) -> None:
        self._base = base
        self._longest = longest
        self._failures: Counter[K] = Counter()

    def when(self, key: K) -> float:
        """Count one more failure of `key` and return the seconds to wait."""
        exponent = min(self._failures[key], 64)  # beyond it any base is past `longest`, and floats end at 2^1024
        self._failures[key] += 1
        return min(self._longest, self._base * 2.0**exponent)

    def forget(self, key: K) -> None:
        """Reset the failures of `key`: its next delay is `base` again."""
        self._failures.pop(key, None)

    def num_requeues(self, key: K) -> int:
        """Return how often `key` has failed since the last `forget`."""
        return self._failures.get(key, 0)


class RateLimitedQueue(DelayingQueue[K]):
    """A `DelayingQueue` with `add_rate_limited`; by default 5 ms doubling to 1,000 s for each key."""

    def __init__(
        self,
        name: str = "",
        *,
        limiter: RateLimiter[K] | None = None,
        clock: Clock | None = None,
        metrics: QueueMetrics[K] | None = None,
    ) -> None:
        super().__init__(name, clock=clock, metrics=metrics)
        self._limiter: RateLimiter[K] = limiter or ItemExponentialLimiter()

    def add_rate_limited(self, key: K) -> float:
        """Count one more failure of `key`, add it after the resulting delay, and return that delay in seconds."""
        delay = self._limiter.when(key)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Reset the failures of `key`, which succeeded or was given up."""
        self._limiter.forget(key)

    def num_requeues(self, key: K) -> int:
        """Return how often `key` has failed since the last `forget`."""
        return self._limiter.num_requeues(key)
