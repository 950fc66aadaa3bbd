"""What is measured about a work queue, under the names that Kubernetes uses.

`QueueMetrics` is told what happens to keys and keeps the times; where the figures go is the business of a
`MetricsProvider` (see `prometheus`).  Without one they go nowhere.

=========================================  =====================================================================
metric                                     meaning
=========================================  =====================================================================
workqueue_depth                            keys that wait, for any worker or for the one that has them
workqueue_adds_total                       keys added (a duplicate of a waiting key is not an add)
workqueue_queue_duration_seconds           from add to get
workqueue_work_duration_seconds            from get to done
workqueue_unfinished_work_seconds          sum over the keys in work of the time since their get: it grows steadily
                                           when a worker is stuck
workqueue_longest_running_processor_seconds  the longest of them
workqueue_retries_total                    keys added with a delay
=========================================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from kubemr.controller.clock import Clock

K = TypeVar("K", bound=Hashable)


class Instruments(Protocol):
    """The instruments of one queue.  Durations in seconds."""

    def set_depth(self, depth: int) -> None:
        """workqueue_depth."""

    def count_add(self) -> None:
        """workqueue_adds_total."""

    def count_retry(self) -> None:
        """workqueue_retries_total."""

    def observe_queue_duration(self, seconds: float) -> None:
        """workqueue_queue_duration_seconds."""

    def observe_work_duration(self, seconds: float) -> None:
        """workqueue_work_duration_seconds."""

    def watch_running(self, unfinished: Callable[[], float], longest: Callable[[], float]) -> None:
        """workqueue_unfinished_work_seconds, workqueue_longest_running_processor_seconds: read when scraped."""


class MetricsProvider(Protocol):
    """Makes the instruments of each queue by name."""

    def instruments(self, name: str) -> Instruments:
        """The instruments of the queue called `name`."""


class QueueMetrics(Generic[K]):
    """Follows the keys of one queue through add, get and done."""

    def __init__(self, name: str, *, clock: Clock, provider: MetricsProvider | None = None) -> None:
        self._clock = clock
        self._instruments = provider.instruments(name) if provider else None
        self._added: dict[K, float] = {}
        """When each key that waits was added."""
        self._started: dict[K, float] = {}
        """When each key in work was handed out."""
        if self._instruments:
            self._instruments.watch_running(self.unfinished, self.longest)

    def added(self, key: K) -> None:
        """`key` needs work."""
        if not self._instruments:
            return
        self._instruments.count_add()
        self._added[key] = self._clock.now()
        self._instruments.set_depth(len(self._added))

    def started(self, key: K) -> None:
        """A worker took `key`."""
        if not self._instruments:
            return
        now = self._clock.now()
        self._started[key] = now
        self._instruments.observe_queue_duration(now - self._added.pop(key))
        self._instruments.set_depth(len(self._added))

    def finished(self, key: K) -> None:
        """The worker is done with `key`."""
        if self._instruments:
            self._instruments.observe_work_duration(self._clock.now() - self._started.pop(key))

    def retried(self) -> None:
        """A key was added with a delay."""
        if self._instruments:
            self._instruments.count_retry()

    def unfinished(self) -> float:
        """Seconds spent so far on all keys in work, summed.  May be called from the scraper's thread."""
        now = self._clock.now()
        return sum(now - since for since in tuple(self._started.values()))

    def longest(self) -> float:
        """Seconds since the oldest key in work was taken.  May be called from the scraper's thread."""
        now = self._clock.now()
        return max((now - since for since in tuple(self._started.values())), default=0.0)
