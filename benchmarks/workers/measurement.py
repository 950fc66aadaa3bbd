"""Run one job of many workers on its own servers, from its creation to its end, and measure."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from attrs import frozen

from coordination.jobrun import NAMESPACE, Operator, deploy_job
from coordination.server import Server
from kubemr.controller.client import Client, PlainConnection
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.timestamps import micro_timestamp
from kubemr.locks import aio
from kubemr.locks.conditional import Target, read
from kubemr.locks.effects import Request
from kubemr.locks.lease import LEASES, renew, take
from kubemr.storage import store_from_environment
from kubemr.tasks.state import make_token
from support.accounts import token_of
from support.audit import Audit
from support.faults.following import Following
from support.lightexecutor import LightTask
from workers.life import LEASE_SECONDS, Shared, run_worker
from workers.recorded import Phase, RecordedRequest, max_open_watches, parse_audit_events

MAP_TASKS = 64
MAP_SECONDS = 75.0
REDUCE_SECONDS = 15.0
START_SECONDS = 20.0
IDLE_SECONDS = 25.0
RENEWALS = 1000
PATIENCE = 400.0
FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
KINDS = ("flowschemas", "prioritylevelconfigurations")


@frozen
class Measurement:
    """The result of one measurement."""

    deployment: float
    phases: list[Phase]
    workers: list[RecordedRequest]
    operator: list[RecordedRequest]
    watches: int
    leases_lost: int
    unanswered: dict[str, int]
    renewal_cpu: float
    """Milliseconds of the servers' CPU for one renewal."""
    renewal_bytes: int
    """The bytes of a Lease as JSON."""


def measure(folder: Path, workers: int, *, levels: bool) -> Measurement:
    """Measure with kubemr's priority levels, or without, where all service accounts share the levels of Kubernetes."""
    audit = Audit(folder / "audit")
    server = Server(folder / "servers", *audit.flags)
    try:
        if not levels:
            _remove_levels(server)
        token = token_of(server.apiserver, "kubemr", "kubemr-operator")
        operator = Operator(server, folder / "operator", environ={"KUBEMR_APISERVER_TOKEN": token})
        try:
            return asyncio.run(_run(server, audit, folder / "operator" / "store", workers))
        finally:
            operator.stop()
    finally:
        server.stop()


def _remove_levels(server: Server) -> None:
    for kind in KINDS:
        for item in server.apiserver.request("GET", f"{FLOW}/{kind}").body["items"]:
            name = item["metadata"]["name"]
            if name.startswith("kubemr-"):
                gone = server.apiserver.request("DELETE", f"{FLOW}/{kind}/{name}")
                if gone.status != 200:
                    raise RuntimeError(f"{kind} {name} cannot be removed: {gone.body}")


def _seconds(task: LightTask) -> float:
    return MAP_SECONDS if task.stage == "map" else REDUCE_SECONDS + task.number % 10


async def _run(server: Server, audit: Audit, folder: Path, workers: int) -> Measurement:
    spec = {
        "image": "none",
        "replicas": workers,
        "inputs": [str(number) for number in range(MAP_TASKS)],
        "partitions": max(1, workers // 2),
    }
    api = server.apiserver
    job, deployment = await asyncio.to_thread(deploy_job, server, "many", spec)
    print(f"… deployed after {deployment:.1f} s", flush=True)
    phases: list[Phase] = []
    store = store_from_environment({"KUBEMR_STORAGE_URL": folder.as_uri()})
    async with AsyncExitStack() as stack:
        token = token_of(api, NAMESPACE, names.account(job.base))
        connection = PlainConnection(api.url, token, ca_file=str(api.ca_file), max_connections=0)
        client = await stack.enter_async_context(Client(connection))
        jobs = names.JOBS.path(NAMESPACE)
        following = stack.enter_context(Following(api, jobs, fieldSelector=f"metadata.name={job.name}"))

        async def until(phase: str, stage: str = "") -> None:
            def there(found: dict[str, Any]) -> bool:
                views = [JobView.of(each) for each in found.values()]
                return any(view.phase == phase and stage in ("", view.stage) for view in views)

            await asyncio.to_thread(following.wait, there, f"the job is not {phase} {stage}", PATIENCE)
            print(f"… {phase} {stage}", flush=True)

        async def phase(name: str, until: Awaitable[None]) -> None:
            cpu, began = server.cpu(), time.time()
            await until
            ended = time.time()
            phases.append(Phase(name, began, ended, (server.cpu() - cpu) / (ended - began)))

        shared = Shared(client, store, _is_job_over(following))
        lives = [asyncio.create_task(run_worker(job, index, shared, _seconds)) for index in range(workers)]
        await phase("start", asyncio.sleep(START_SECONDS))
        await asyncio.sleep(START_SECONDS)
        await phase("idle", asyncio.sleep(IDLE_SECONDS))
        await until("DEPLOYED", "reduce")
        await phase("change of stage", asyncio.sleep(10.0))
        await phase("tail", until("COMPLETE"))
        await asyncio.wait_for(asyncio.gather(*lives), PATIENCE)
    cost, size = await _measure_renewal(server)
    of_workers = list(audit.events(f"{NAMESPACE}:{names.account(job.base)}"))
    return Measurement(
        deployment=deployment,
        phases=phases,
        workers=parse_audit_events(of_workers),
        operator=parse_audit_events(audit.events("kubemr:kubemr-operator")),
        watches=max_open_watches(of_workers),
        leases_lost=shared.leases_lost,
        unanswered=dict(shared.unanswered),
        renewal_cpu=cost,
        renewal_bytes=size,
    )


def _is_job_over(following: Following) -> Callable[[], bool]:
    return lambda: any(JobView.of(each).final for each in following.objects.values())


async def _measure_renewal(server: Server) -> tuple[float, int]:
    """Return the CPU milliseconds of the servers for one renewal, and the bytes of the Lease."""
    api = server.apiserver
    target = Target(LEASES, NAMESPACE, "bench")
    body = {"metadata": {"name": "bench"}, "spec": {"leaseDurationSeconds": int(LEASE_SECONDS)}}
    async with Client(PlainConnection(api.url, api.token, ca_file=str(api.ca_file))) as client:
        await client.send(Request("create", target.resource, NAMESPACE, body=body))
        token = make_token(0, 1)
        await aio.run(take(target, token, micro_timestamp), client)
        cpu = server.cpu()
        for number in range(RENEWALS):
            await aio.run(renew(target, token, f"2026-01-01T00:00:00.{number:06d}Z"), client)
        cost = (server.cpu() - cpu) / RENEWALS * 1000
        lease = await aio.run(read(target), client)
    return cost, len(json.dumps(lease, separators=(",", ":")))
