"""Serve an operator's health for Kubernetes, and its metrics for Prometheus.

==========  =========================================================================================
path        answer
==========  =========================================================================================
`/livez`    200 while the event loop runs; Kubernetes should kill a process that does not answer
`/readyz`   200 while it reconciles jobs; 503 before its caches are filled, and while it shuts down
`/metrics`  metrics of the work queue, the operator and the process, in Prometheus' format
==========  =========================================================================================

Importing this module imports prometheus-client, so it is imported only if a port is configured.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kubemr.controller.reconcile.phases.deletion import UNSWEPT
from kubemr.controller.reconcile.storage.orphaned_prefixes import SWEPT
from kubemr.controller.workqueue.prometheus import PrometheusProvider

COUNTERS: Final[Mapping[str, str]] = {
    UNSWEPT: "Jobs that were released with objects left in storage, which operators try to remove from time to time",
    SWEPT: "Prefixes of such jobs that this operator has cleared since",
}
"""What each counter of an operator counts, by its name."""


class Observed(Protocol):
    """What an operator shows for its metrics."""

    @property
    def counters(self) -> Mapping[str, int]:
        """How often each kind of event has happened, by the names in `COUNTERS`."""
        ...

    @property
    def cached(self) -> Mapping[str, int]:
        """How many objects the operator's caches hold, by kind (plural)."""
        ...


class OperatorCollector(Collector):
    """Collect an operator's own metrics when Prometheus scrapes them."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def collect(self) -> Iterator[Metric]:
        """Yield `kubemr_<counter>_total` and `kubemr_cached_objects`."""
        for name, meaning in COUNTERS.items():
            yield CounterMetricFamily(f"kubemr_{name}", meaning, value=self._observed.counters.get(name, 0))
        cached = GaugeMetricFamily("kubemr_cached_objects", "Objects in the operator's caches", labels=["resource"])
        for plural, count in self._observed.cached.items():
            cached.add_metric([plural], count)
        yield cached


class Health:
    """The metrics registry of one process, and the server that shows it."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.metrics = PrometheusProvider(self._registry)

    def show(self, observed: Observed) -> None:
        """Add an operator's own metrics to the registry."""
        self._registry.register(OperatorCollector(observed))

    @asynccontextmanager
    async def served(self, address: str, port: int, ready: Callable[[], bool]) -> AsyncIterator[int]:
        """Serve on `port` of `address` inside the block; empty means all addresses.

        Yield the port, which the system chooses if `port` is 0.  Raises OSError if the port is in use.
        """

        async def livez(_: web.Request) -> web.Response:
            return web.Response(text="ok\n")

        async def readyz(_: web.Request) -> web.Response:
            if ready():
                return web.Response(text="ok\n")
            return web.Response(
                status=503, text="not ready: the caches are not filled yet, or the operator is shutting down\n"
            )

        app = web.Application()
        metrics = web.get("/metrics", make_aiohttp_handler(self._registry))
        app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), metrics])
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, address or None, port).start()
            yield int(runner.addresses[0][1])
        finally:
            await runner.cleanup()
