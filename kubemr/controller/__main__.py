"""`python -m kubemr.controller`: the operator's process.

It finds its apiserver from `KUBEMR_APISERVER` (a URL, with `KUBEMR_APISERVER_TOKEN`), or else from a
kubeconfig or the pod's service account.  SIGTERM and SIGINT stop it in an orderly way.
Exit codes: 0 told to end; 1 it lost its Lease or may not do what it must; 2 its settings are wrong.
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
    """Nothing says where the apiserver is."""


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
    """Run one operator until it is told to end."""
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
