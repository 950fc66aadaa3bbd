"""Metrics of a work queue, under the names that Kubernetes uses.

A queue reports each change of a key to `QueueMetrics`, which keeps the times.
A `MetricsProvider` exports the values (see `prometheus`).  Without one nothing is exported.

============================================  ==================================================================
metric                                        meaning
============================================  ==================================================================
workqueue_depth                               keys that wait for a worker, or for their worker to be done
workqueue_adds_total                          keys added (a duplicate of a waiting key is not an add)
workqueue_queue_duration_seconds              from add to get
workqueue_work_duration_seconds               from get to done
workqueue_unfinished_work_seconds             sum over the keys in work of the time since their get: it grows
                                              steadily when a worker is stuck
workqueue_longest_running_processor_seconds   the longest of these times
workqueue_retries_total                       keys added with a delay
============================================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from kubemr.controller.clock import Clock

K = TypeVar("K", bound=Hashable)


class Instruments(Protocol):
    """The instruments of one queue.  Durations are in seconds."""

    def set_depth(self, depth: int) -> None:
        """Set workqueue_depth."""

    def count_add(self) -> None:
        """Increment workqueue_adds_total."""

    def count_retry(self) -> None:
        """Increment workqueue_retries_total."""

    def observe_queue_duration(self, seconds: float) -> None:
        """Observe workqueue_queue_duration_seconds."""

    def observe_work_duration(self, seconds: float) -> None:
        """Observe workqueue_work_duration_seconds."""

    def watch_running(self, unfinished: Callable[[], float], longest: Callable[[], float]) -> None:
        """Call these functions at each scrape.

        They return workqueue_unfinished_work_seconds and workqueue_longest_running_processor_seconds.
        """


class MetricsProvider(Protocol):
    """Create the instruments of each queue by its name."""

    def instruments(self, name: str) -> Instruments:
        """Return the instruments of the queue called `name`."""


class QueueMetrics(Generic[K]):
    """Measure the keys of one queue through add, get and done."""

    def __init__(self, name: str, *, clock: Clock, provider: MetricsProvider | None = None) -> None:
        self._clock = clock
        self._instruments = provider.instruments(name) if provider else None
        self._added: dict[K, float] = {}
        """When each waiting key was added."""
        self._started: dict[K, float] = {}
        """When a worker took each key that is in work."""
        if self._instruments:
            self._instruments.watch_running(self.unfinished, self.longest)

    def added(self, key: K) -> None:
        """Record that `key` was added."""
        if not self._instruments:
            return
        self._instruments.count_add()
        self._added[key] = self._clock.now()
        self._instruments.set_depth(len(self._added))

    def started(self, key: K) -> None:
        """Record that a worker took `key`."""
        if not self._instruments:
            return
        now = self._clock.now()
        self._started[key] = now
        self._instruments.observe_queue_duration(now - self._added.pop(key))
        self._instruments.set_depth(len(self._added))

    def finished(self, key: K) -> None:
        """Record that the worker is done with `key`."""
        if self._instruments:
            self._instruments.observe_work_duration(self._clock.now() - self._started.pop(key))

    def retried(self) -> None:
        """Record that a key was added with a delay."""
        if self._instruments:
            self._instruments.count_retry()

    def unfinished(self) -> float:
        """Return the seconds spent so far on all keys in work, summed.  The scraper's thread may call it."""
        now = self._clock.now()
        return sum(now - since for since in tuple(self._started.values()))

    def longest(self) -> float:
        """Return the seconds since the oldest key in work was taken.  The scraper's thread may call it."""
        now = self._clock.now()
        return max((now - since for since in tuple(self._started.values())), default=0.0)
