"""Against a real kube-apiserver: streaming and paged lists, watches, the kubeconfig."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from kubemr.controller.client import Client, PlainConnection
from kubemr.controller.client.kube_config import from_kubeconfig
from kubemr.controller.informer import Informer, by_label
from kubemr.locks.effects import JSON_PATCH, UNKNOWN, Request, Resource, Watch
from support.controlplane import ApiServer
from support.informers import Recorder

CONFIG_MAPS = Resource("", "v1", "configmaps")

OURS = "metadata.name!=kube-root-ca.crt"
"""When the real controllers run, they put this ConfigMap into every namespace."""


@pytest.fixture
async def live(apiserver: ApiServer) -> AsyncIterator[Client]:
    """Return a client of the real apiserver."""
    async with Client(PlainConnection(apiserver.url, apiserver.token, ca_file=str(apiserver.ca_file))) as client:
        yield client


async def create(client: Client, namespace: str, name: str, **labels: str) -> dict[str, Any]:
    """Create a config map."""
    answer = await client.send(
        Request("create", CONFIG_MAPS, namespace, body={"metadata": {"name": name, "labels": labels}})
    )
    assert answer.status == 201, answer
    body: dict[str, Any] = answer.body
    return body


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_informer_follows(live: Client, namespace: str, streaming: bool) -> None:
    """What was there, what is added, changed and deleted."""
    for number in range(7):
        await create(live, namespace, f"old-{number}", app="x")
    await create(live, namespace, "other")
    informer = Informer(
        live,
        CONFIG_MAPS,
        namespace,
        label_selector="app=x",
        streaming=streaming,
        page_size=3,
        indexes={"app": by_label("app")},
    )
    recorder = Recorder()
    registration = informer.add_handler(recorder)
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(informer.run())
        async with asyncio.timeout(60):
            await registration.wait_synced()
    assert [entry["event"] for entry in logs] == ["listed"]  # no failure, no fallback to ordinary lists
    try:
        async with asyncio.timeout(60):
            assert sorted(informer.store.keys()) == [f"{namespace}/old-{number}" for number in range(7)]
            assert all(entry.endswith("!") for entry in recorder.changes)
            first = informer.store.select("app", "x")[0]
            assert (first["apiVersion"], first["kind"]) == ("v1", "ConfigMap")
            assert "managedFields" not in first["metadata"]
            made = await create(live, namespace, "new", app="x")
            patch = [{"op": "add", "path": "/data", "value": {"k": "v" * 900_000}}]
            changed = await live.send(
                Request("patch", CONFIG_MAPS, namespace, "new", body=patch, content_type=JSON_PATCH)
            )
            assert changed.ok
            precondition = {"preconditions": {"uid": made["metadata"]["uid"]}}
            assert (await live.send(Request("delete", CONFIG_MAPS, namespace, "new", body=precondition))).ok
            while not recorder.changes[-1].startswith("-new@"):  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.02)
        assert [entry.split("@")[0] for entry in recorder.changes[7:]] in (["+new", "new", "-new"], ["+new", "-new"])
        assert len(informer.store) == 7
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_wait_sees_the_first_event(live: Client, namespace: str) -> None:
    """From a version on, within the time."""
    made = await create(live, namespace, "a")
    version = made["metadata"]["resourceVersion"]
    assert await live.wait(Watch(CONFIG_MAPS, namespace, version, 1.0, field_selector=OURS)) is None
    waiting = asyncio.create_task(live.wait(Watch(CONFIG_MAPS, namespace, version, 30.0, field_selector=OURS)))
    await create(live, namespace, "b")
    event = await waiting
    assert event is not None
    assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "b")


async def test_outcomes(apiserver: ApiServer, live: Client, namespace: str) -> None:
    """Reasons come from the real server; without its certificate authority the request never leaves."""
    missing = await live.send(Request("get", CONFIG_MAPS, namespace, "missing"))
    assert (missing.status, missing.reason) == (404, "NotFound")
    await create(live, namespace, "a")
    patch = [{"op": "test", "path": "/data", "value": {"x": "y"}}]
    lost = await live.send(Request("patch", CONFIG_MAPS, namespace, "a", body=patch, content_type=JSON_PATCH))
    assert (lost.status, lost.reason) == (422, "Invalid")
    async with Client(PlainConnection(apiserver.url, "wrong", ca_file=str(apiserver.ca_file))) as stranger:
        assert (await stranger.send(Request("get", CONFIG_MAPS, namespace, "a"))).status == 401
    async with Client(PlainConnection(apiserver.url, apiserver.token)) as distrustful:
        answer = await distrustful.send(Request("get", CONFIG_MAPS, namespace, "a"))
        assert (answer.status, answer.sent) == (UNKNOWN, False)


async def test_the_connection_of_a_kubeconfig(apiserver: ApiServer, namespace: str) -> None:
    """TLS, token and address from the file, by `kubernetes.aio`."""
    async with Client(await from_kubeconfig(str(apiserver.kubeconfig))) as client:
        made = await create(client, namespace, "a")
        watch = Watch(CONFIG_MAPS, namespace, made["metadata"]["resourceVersion"], 1.0, field_selector=OURS)
        assert await client.wait(watch) is None
