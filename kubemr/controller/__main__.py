"""`python -m kubemr.controller`: the operator's process.

It connects to the apiserver of `KUBEMR_APISERVER` (a URL, with `KUBEMR_APISERVER_TOKEN`).
Without that variable it uses a kubeconfig or the pod's service account.
After SIGTERM or SIGINT it works its queue off for up to 20 s, and releases its Lease.

Exit codes: 0 after SIGTERM or SIGINT; 1 if it lost its Lease or lacks a permission; 2 if its settings are invalid.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import structlog

from kubemr.controller.client import Client, Connection, PlainConnection
from kubemr.controller.operator import Operator
from kubemr.controller.settings import OperatorSettings
from kubemr.locks.conditional import RequestRefusedError
from kubemr.locks.lease import LeaseLostError
from kubemr.logs import configure_structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class NoClusterError(Exception):
    """No setting names an apiserver."""


async def _connection() -> Connection:
    url = os.environ.get("KUBEMR_APISERVER")
    if url:
        ca_file = os.environ.get("KUBEMR_APISERVER_CA") or None
        return PlainConnection(url, os.environ.get("KUBEMR_APISERVER_TOKEN", ""), ca_file=ca_file)
    from kubemr.controller.client.kube_config import ConfigException, discover

    try:
        return await discover()
    except ConfigException as error:
        raise NoClusterError(f"no apiserver is known: {error}; set KUBECONFIG or KUBEMR_APISERVER") from error


async def _run_operator(settings: OperatorSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Client(await _connection()) as client:
        if not settings.health_port:
            await Operator(client, settings).run(stop)
            return
        from kubemr.controller.health import Health

        health = Health()
        process = Operator(client, settings, metrics=health.metrics)
        health.show(process)
        async with health.served(settings.health_address, settings.health_port, lambda: process.ready):
            await process.run(stop)


def main() -> int:
    """Run one operator until SIGTERM or SIGINT, and return the exit code."""
    configure_structlog()
    try:
        settings = OperatorSettings.from_environment()
    except ValueError as error:
        log.error("invalid_settings", error=str(error))
        return 2
    try:
        asyncio.run(_run_operator(settings))
    except NoClusterError as error:
        log.error("invalid_settings", error=str(error))
        return 2
    except (LeaseLostError, OSError, RequestRefusedError) as error:
        log.error("operator_failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
