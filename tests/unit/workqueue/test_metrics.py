"""What a queue reports about itself, under the names of Kubernetes."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from prometheus_client import CollectorRegistry

from kubemr.controller.clock import AsyncioClock
from kubemr.controller.workqueue import QueueMetrics, RateLimitedQueue
from kubemr.controller.workqueue.prometheus import PrometheusProvider


def test_importing_the_queue_does_not_import_prometheus() -> None:
    """prometheus-client is loaded by those who want it."""
    code = "import sys, kubemr.controller.workqueue; sys.exit('prometheus_client' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_metrics_follow_a_key() -> None:
    """Depth, adds, durations, unfinished work and retries, by the injected clock and the label `name`."""
    registry = CollectorRegistry()
    clock = AsyncioClock()
    metrics: QueueMetrics[str] = QueueMetrics("jobs", clock=clock, provider=PrometheusProvider(registry))
    queue: RateLimitedQueue[str] = RateLimitedQueue("jobs", clock=clock, metrics=metrics)

    def read(name: str) -> float | None:
        return registry.get_sample_value(name, {"name": "jobs"})

    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert read("workqueue_depth") == 2
    assert read("workqueue_adds_total") == 2
    await asyncio.sleep(3)
    await queue.get()
    assert read("workqueue_depth") == 1
    assert read("workqueue_queue_duration_seconds_sum") == 3
    await asyncio.sleep(2)
    await queue.get()
    await asyncio.sleep(10)
    assert read("workqueue_unfinished_work_seconds") == 22
    assert read("workqueue_longest_running_processor_seconds") == 12
    # A scraper's thread reads the same figures.
    assert await asyncio.to_thread(read, "workqueue_unfinished_work_seconds") == 22
    queue.done("a")
    queue.done("b")
    assert read("workqueue_work_duration_seconds_sum") == 22
    assert read("workqueue_work_duration_seconds_count") == 2
    assert read("workqueue_unfinished_work_seconds") == 0
    assert read("workqueue_longest_running_processor_seconds") == 0
    queue.add_rate_limited("a")
    assert read("workqueue_retries_total") == 1
    bucket = {"name": "jobs", "le": "1e-08"}
    assert registry.get_sample_value("workqueue_work_duration_seconds_bucket", bucket) == 0
