"""One operator, and several, against the embedded apiserver over HTTP."""

from __future__ import annotations

import asyncio
import socket

import pytest

from kubemr.controller import operator as module
from kubemr.controller.client import Client, PlainConnection
from kubemr.controller.operator import Operator
from kubemr.controller.settings import OperatorSettings
from kubemr.coordination import names
from kubemr.locks import RequestRefusedError
from kubemr.locks.effects import Json, Request, Resource
from kubemr.locks.lease import LEASES, LeaseLostError
from support.operators import OperatorCluster

CONFIG_MAPS = Resource("", "v1", "configmaps")


async def test_it_deploys_finishes_and_deletes_a_job(cluster: OperatorCluster) -> None:
    """From the informers through the queue to the state machine, without being asked again."""
    async with cluster.operator() as (process, _):
        await cluster.submit()
        status = await cluster.phase("DEPLOYED")
        assert status["lockholder"].startswith(process.identity + "/1/")
        await cluster.client.send(Request("delete", names.JOBS, "default", "words"))
        await cluster.until(names.JOBS, lambda jobs: not jobs)
        await cluster.submit("empty", inputs=[])
        status = await cluster.phase("COMPLETE")
        assert status["results"] == []


async def test_a_stop_releases_the_lease_and_removes_it(cluster: OperatorCluster) -> None:
    """So that others take its jobs over at once."""
    async with cluster.operator() as (process, stop):
        lease = await cluster.lease_taken()
        assert lease["spec"]["holderIdentity"] == process.identity
        assert lease["metadata"]["name"] == f"kubemr-{process.identity}"
        stop.set()
    assert await cluster.until(LEASES, lambda leases: True) == []


async def test_a_job_of_an_operator_that_stopped_is_taken_over(cluster: OperatorCluster) -> None:
    """By another that runs beside it."""
    async with cluster.operator("two") as (two, _):
        await cluster.lease_taken()
        async with cluster.operator("one") as (one, _):
            await cluster.submit()
            status = await cluster.phase("DEPLOYED")
            first = status["lockholder"].partition("/")[0]
        if first == one.identity:
            await cluster.until(
                names.JOBS, lambda jobs: jobs[0]["status"]["lockholder"].startswith(two.identity + "/2/")
            )


async def test_the_loss_of_its_lease_stops_it(cluster: OperatorCluster) -> None:
    """It must not continue: other operators have its jobs by then.  The error is that one, and no group of errors."""
    settings = OperatorSettings.from_environment(cluster.environ)
    process = Operator(cluster.client, settings)
    running = asyncio.create_task(process.run(asyncio.Event()))
    lease = await cluster.lease_taken()
    await cluster.set(LEASES, lease["metadata"]["name"], "/spec/holderIdentity", "somebody-else")
    async with asyncio.timeout(30):
        with pytest.raises(LeaseLostError, match="is held by somebody-else"):
            await running


async def test_a_lease_that_may_not_be_made(cluster: OperatorCluster) -> None:
    """The namespace does not exist: an error that names it."""
    settings = OperatorSettings.from_environment({**cluster.environ, "KUBEMR_NAMESPACE": "nowhere"})
    with pytest.raises(PermissionError, match=r"creating leases nowhere/kubemr-op-.*: the apiserver refused it"):
        await Operator(cluster.client, settings).run(asyncio.Event())


async def test_it_can_be_stopped_while_the_apiserver_is_away(environ: dict[str, str]) -> None:
    """From the first moment on: it neither waits for the Lease nor for the informers."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    stop = asyncio.Event()
    async with Client(PlainConnection(f"http://127.0.0.1:{port}", "x")) as client, asyncio.timeout(20):
        process = Operator(client, OperatorSettings.from_environment(environ))
        running = asyncio.create_task(process.run(stop))
        await asyncio.sleep(0)
        stop.set()
        await running


async def test_an_apiserver_that_goes_does_not_keep_it_from_stopping(
    cluster: OperatorCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that the Lease was not released, and ends."""
    monkeypatch.setattr(module, "RELEASE_SECONDS", 0.2)
    async with asyncio.timeout(30), cluster.operator() as (_, stop):
        await cluster.lease_taken()
        await asyncio.to_thread(cluster.server.stop)
        stop.set()


async def test_a_name_conflict_is_tried_again(cluster: OperatorCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a moment, without a failure: it may be on its way out."""
    monkeypatch.setattr(module, "NAME_CONFLICT_SECONDS", 0.05)
    await cluster.submit()
    (job,) = await cluster.until(names.JOBS, lambda jobs: True)
    name = names.config_map(names.base("words", job["metadata"]["uid"], 1))
    blocker = Request("create", CONFIG_MAPS, "default", body={"metadata": {"name": name}})
    assert (await cluster.client.send(blocker)).ok
    async with cluster.operator() as (process, _):
        await cluster.phase("DEPLOYING")
        async with asyncio.timeout(30):
            while (after := await process._reconcile("default/words")) is None:
                pass  # its own cache does not show yet that the job is being deployed
        assert after == 0.05
        await cluster.client.send(Request("delete", CONFIG_MAPS, "default", name))
        await cluster.phase("DEPLOYED")


async def test_a_job_that_is_gone_is_forgotten(cluster: OperatorCluster) -> None:
    """An invalid one too, which has no finalizer: an operator's memory does not grow with the jobs it has seen."""
    async with cluster.operator() as (process, _):
        await cluster.submit(files=[{"name": "f", "configMapKeyRef": {"name": "m", "key": "k"}}])
        await cluster.phase("FAIL")
        await cluster.client.send(Request("delete", names.JOBS, "default", "words"))
        await cluster.submit("next", inputs=[])
        await cluster.until(names.JOBS, lambda jobs: [phase(job) for job in jobs] == ["COMPLETE"])
        await process._reconcile("default/words")
        assert list(process._uids) == ["default/next"]
        assert len(process._context.cleaned) <= 1


def phase(job: Json) -> str:
    """Return a job's phase, or nothing."""
    return str((job.get("status") or {}).get("phase") or "")


def test_what_went_wrong_first() -> None:
    """The loss of the Lease before all else, however deep."""
    lost = LeaseLostError("gone")
    group = ExceptionGroup("", [ValueError("x"), ExceptionGroup("", [lost])])
    assert module._first_error(group) is lost
    refused = RequestRefusedError.__new__(RequestRefusedError)
    assert module._first_error(ExceptionGroup("", [refused])) is refused
