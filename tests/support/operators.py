"""Run operators against the embedded apiserver on a real socket, in real time, with a client to observe it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from kubemr.controller.client import Client, PlainConnection
from kubemr.controller.operator import Operator
from kubemr.controller.settings import OperatorSettings
from kubemr.coordination import names
from kubemr.local.apiserver.http import HttpServer
from kubemr.locks.effects import JSON_PATCH, Json, Request, Resource, Watch
from kubemr.locks.lease import LEASES

TOKEN = "sesame"


class OperatorCluster:
    """What a test does besides running operators."""

    def __init__(self, server: HttpServer, client: Client, environ: dict[str, str]) -> None:
        self.server = server
        self.client = client
        self.environ = environ

    @asynccontextmanager
    async def operator(self, instance: str = "op") -> AsyncIterator[tuple[Operator, asyncio.Event]]:
        """Run an operator and stop it in the end; what it raises is raised here."""
        settings = OperatorSettings.from_environment({**self.environ, "KUBEMR_INSTANCE": instance})
        stop = asyncio.Event()
        async with Client(PlainConnection(self.server.url, TOKEN)) as own:
            process = Operator(own, settings)
            running = asyncio.create_task(process.run(stop))
            try:
                yield process, stop
            finally:
                stop.set()
                await running

    async def until(self, resource: Resource, happened: Callable[[list[Json]], bool]) -> list[Json]:
        """Wait until the objects of a kind satisfy `happened`, and return them."""
        async with asyncio.timeout(30):
            while True:
                answer = await self.client.send(Request("list", resource, "default"))
                assert answer.ok, answer
                if happened(answer.body["items"]):
                    items: list[Json] = answer.body["items"]
                    return items
                version = answer.body["metadata"]["resourceVersion"]
                await self.client.wait(Watch(resource, "default", version, 5.0))

    async def submit(self, name: str = "words", **spec: Json) -> None:
        """Create a job."""
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name},
            "spec": {"image": "i", "inputs": ["a"], "partitions": 1, **spec},
        }
        answer = await self.client.send(Request("create", names.JOBS, "default", body=body))
        assert answer.ok, answer

    async def phase(self, phase: str) -> Json:
        """Wait until the only job has a phase, and return its status."""
        (job,) = await self.until(
            names.JOBS, lambda jobs: [(job.get("status") or {}).get("phase") for job in jobs] == [phase]
        )
        status: Json = job["status"]
        return status

    async def set(self, resource: Resource, name: str, path: str, value: Json) -> None:
        """Set a member of an object, as another client."""
        operations = [{"op": "add", "path": path, "value": value}]
        request = Request("patch", resource, "default", name, body=operations, content_type=JSON_PATCH)
        answer = await self.client.send(request)
        assert answer.ok, answer

    async def lease_taken(self) -> Json:
        """Wait until some operator holds its own Lease, and return that Lease."""
        leases = await self.until(LEASES, lambda leases: any(lease["spec"].get("holderIdentity") for lease in leases))
        return next(lease for lease in leases if lease["spec"].get("holderIdentity"))
