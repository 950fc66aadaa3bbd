"""A delaying queue that knows how long: a key that keeps failing waits longer each time.

`forget` a key as soon as it succeeds.  It stays in the queue, but its next failure counts as the first.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from kubemr.controller.clock import Clock
from kubemr.controller.workqueue.delaying_queue import DelayingQueue
from kubemr.controller.workqueue.metrics import QueueMetrics
from kubemr.controller.workqueue.rate_limiters import ItemExponentialLimiter, RateLimiter

K = TypeVar("K", bound=Hashable)


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
        """Add `key` after the delay that its failures have earned it; that delay in seconds."""
        delay = self._limiter.when(key)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """`key` succeeded or is given up: its next failure counts as the first."""
        self._limiter.forget(key)

    def num_requeues(self, key: K) -> int:
        """How often `key` failed since it was last forgotten."""
        return self._limiter.num_requeues(key)
