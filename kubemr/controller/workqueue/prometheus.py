"""Export the queues' metrics to Prometheus.  Only this module of the package imports prometheus-client."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = tuple(10.0**exponent for exponent in range(-8, 4))
"""10 ns to 1,000 s by powers of ten, as in Kubernetes."""


class PrometheusProvider:
    """Register the metrics once; each queue is a value of the label `name`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ["name"], registry=registry)

        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, ["name"], registry=registry)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(name, text, ["name"], buckets=BUCKETS, registry=registry)

        self.depth = gauge("workqueue_depth", "Keys that wait in the work queue.")
        self.adds = counter("workqueue_adds_total", "Keys added to the work queue.")
        self.retries = counter("workqueue_retries_total", "Keys added to the work queue with a delay.")
        self.queue_duration = histogram("workqueue_queue_duration_seconds", "Time from add to get.")
        self.work_duration = histogram("workqueue_work_duration_seconds", "Time from get to done.")
        self.unfinished = gauge(
            "workqueue_unfinished_work_seconds",
            "Time spent so far on the keys in work, summed. It grows steadily when a worker is stuck.",
        )
        self.longest = gauge("workqueue_longest_running_processor_seconds", "Age of the oldest key in work.")

    def instruments(self, name: str) -> PrometheusInstruments:
        """Return the instruments of the queue called `name`."""
        return PrometheusInstruments(self, name)


class PrometheusInstruments:
    """The metrics of one queue."""

    def __init__(self, provider: PrometheusProvider, name: str) -> None:
        self._depth = provider.depth.labels(name)
        self._adds = provider.adds.labels(name)
        self._retries = provider.retries.labels(name)
        self._queue_duration = provider.queue_duration.labels(name)
        self._work_duration = provider.work_duration.labels(name)
        self._unfinished = provider.unfinished.labels(name)
        self._longest = provider.longest.labels(name)

    def set_depth(self, depth: int) -> None:
        """Set workqueue_depth."""
        self._depth.set(depth)

    def count_add(self) -> None:
        """Increment workqueue_adds_total."""
        self._adds.inc()

    def count_retry(self) -> None:
        """Increment workqueue_retries_total."""
        self._retries.inc()

    def observe_queue_duration(self, seconds: float) -> None:
        """Observe workqueue_queue_duration_seconds."""
        self._queue_duration.observe(seconds)

    def observe_work_duration(self, seconds: float) -> None:
        """Observe workqueue_work_duration_seconds."""
        self._work_duration.observe(seconds)

    def watch_running(self, unfinished: Callable[[], float], longest: Callable[[], float]) -> None:
        """Read workqueue_unfinished_work_seconds and workqueue_longest_running_processor_seconds at each scrape."""
        self._unfinished.set_function(unfinished)
        self._longest.set_function(longest)
