"""What Kubernetes and Prometheus ask an operator: does it live, is it ready, what has it done.

==========  ====================================================================================
path        answer
==========  ====================================================================================
`/livez`    200 as long as the event loop turns; a process that does not answer is to be killed
`/readyz`   200 while it takes jobs on; 503 before its caches are filled, and when it is leaving
`/metrics`  the work queue's figures, the operator's own and the process's, as Prometheus scrapes them
==========  ====================================================================================

Importing this module imports prometheus-client, so it is imported only where a port is set.
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
"""By the name in an operator's tally, what is counted."""


class Observed(Protocol):
    """What an operator shows of itself."""

    @property
    def counters(self) -> Mapping[str, int]:
        """What has happened how often, by the names in `COUNTERS`."""
        ...

    @property
    def cached(self) -> Mapping[str, int]:
        """How many objects its caches hold, by kind (plural)."""
        ...


class OperatorCollector(Collector):
    """An operator's own figures, read when somebody asks."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def collect(self) -> Iterator[Metric]:
        """`kubemr_<counter>_total` and `kubemr_cached_objects`."""
        for name, meaning in COUNTERS.items():
            yield CounterMetricFamily(f"kubemr_{name}", meaning, value=self._observed.counters.get(name, 0))
        cached = GaugeMetricFamily("kubemr_cached_objects", "Objects in the operator's caches", labels=["resource"])
        for plural, count in self._observed.cached.items():
            cached.add_metric([plural], count)
        yield cached


class Health:
    """One process's registry of metrics, and the server that shows it."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.metrics = PrometheusProvider(self._registry)

    def show(self, observed: Observed) -> None:
        """Have an operator's own figures among the metrics."""
        self._registry.register(OperatorCollector(observed))

    @asynccontextmanager
    async def served(self, address: str, port: int, ready: Callable[[], bool]) -> AsyncIterator[int]:
        """Serve on `port` of `address` (empty: of all) inside the block; gives the port, which for 0 the system picks.

        Raises OSError where that is taken.
        """

        async def livez(_: web.Request) -> web.Response:
            return web.Response(text="ok\n")

        async def readyz(_: web.Request) -> web.Response:
            if ready():
                return web.Response(text="ok\n")
            return web.Response(
                status=503, text="not ready: the caches are not filled yet, or the operator is leaving\n"
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
