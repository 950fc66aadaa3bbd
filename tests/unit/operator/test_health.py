"""What an operator answers to Kubernetes' probes and to Prometheus."""

from __future__ import annotations

import asyncio
import socket
from typing import ClassVar

import aiohttp
import pytest

from kubemr.controller.client import Client, PlainConnection
from kubemr.controller.health import Health
from kubemr.controller.operator import Operator
from kubemr.controller.reconcile.phases.deletion import UNSWEPT
from kubemr.controller.reconcile.storage.orphaned_prefixes import SWEPT
from kubemr.controller.settings import OperatorSettings
from support.operators import TOKEN, OperatorCluster

HERE = "127.0.0.1"


async def ask(port: int, path: str) -> tuple[int, str]:
    """One GET."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{HERE}:{port}{path}") as answer:
        return answer.status, await answer.text()


class Observed:
    """An operator that has left three prefixes and cleared one."""

    counters: ClassVar = {UNSWEPT: 3, SWEPT: 1}
    cached: ClassVar = {"jobs": 2}


async def test_ready_while_it_takes_jobs_on(cluster: OperatorCluster) -> None:
    """Alive from the start; not ready before the caches are filled, nor after SIGTERM."""
    health, stop = Health(), asyncio.Event()
    settings = OperatorSettings.from_environment(cluster.environ)
    async with Client(PlainConnection(cluster.server.url, TOKEN)) as client:
        process = Operator(client, settings, metrics=health.metrics)
        health.show(process)
        async with health.served(HERE, 0, lambda: process.ready) as port:
            assert await ask(port, "/livez") == (200, "ok\n")
            status, text = await ask(port, "/readyz")
            assert (status, text.partition(":")[0]) == (503, "not ready")
            running = asyncio.create_task(process.run(stop))
            await cluster.submit(inputs=[])
            await cluster.phase("COMPLETE")
            assert await ask(port, "/readyz") == (200, "ok\n")
            _, metrics = await ask(port, "/metrics")
            stop.set()
            await running
            assert (await ask(port, "/readyz"))[0] == 503
    counted = {line.split()[0]: float(line.split()[1]) for line in metrics.splitlines() if not line.startswith("#")}
    assert counted['workqueue_adds_total{name="mapreducejobs"}'] >= 3
    assert counted['workqueue_work_duration_seconds_count{name="mapreducejobs"}'] >= 3
    assert counted["process_resident_memory_bytes"] > 1e6
    assert counted["kubemr_unswept_prefixes_total"] == 0
    assert counted['kubemr_cached_objects{resource="mapreducejobs"}'] == 1


async def test_what_an_operator_has_counted_is_told() -> None:
    """A deleted job whose objects could not be removed, say."""
    health = Health()
    health.show(Observed())
    async with health.served(HERE, 0, lambda: True) as port:
        lines = (await ask(port, "/metrics"))[1].splitlines()
    assert "kubemr_unswept_prefixes_total 3.0" in lines
    assert "kubemr_swept_prefixes_total 1.0" in lines
    assert 'kubemr_cached_objects{resource="jobs"} 2.0' in lines


@pytest.mark.parametrize(
    ("accept", "content_type", "openmetrics"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", False),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            True,
        ),
    ],
)
async def test_a_scraper_chooses_the_format(accept: str, content_type: str, openmetrics: bool) -> None:
    """As the header Accept says: Prometheus asks for OpenMetrics first."""
    health = Health()
    health.show(Observed())
    async with health.served(HERE, 0, lambda: True) as port, aiohttp.ClientSession() as session:
        url = f"http://{HERE}:{port}/metrics"
        async with session.get(url, headers={"Accept": accept}) as answer:
            lines = (await answer.text()).splitlines()
    assert answer.headers["Content-Type"] == content_type
    assert "kubemr_unswept_prefixes_total 3.0" in lines
    assert (lines[-1] == "# EOF") is openmetrics


async def test_a_port_that_is_taken() -> None:
    """It is an error that names the port, and not an operator without health checks."""
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            async with Health().served(HERE, port, lambda: True):
                pass


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none(port: str) -> None:
    """It is named and shown."""
    with pytest.raises(ValueError, match=f"KUBEMR_HEALTH_PORT is '{port}': must be"):
        OperatorSettings.from_environment({"KUBEMR_HEALTH_PORT": port})
