"""Handlers: each has its own buffer and receives changes at its own pace."""

from __future__ import annotations

import asyncio

import structlog

from kubemr.controller.client import Client
from kubemr.controller.informer import EnqueueKeys, Informer, Object, split_key
from kubemr.controller.workqueue import Queue
from support.fakeserver import Exchange, FakeServer, reply, watching
from support.informers import PODS, Recorder, eventually, pod, pods, running


async def test_a_slow_handler_delays_no_other(server: FakeServer, client: Client) -> None:
    """The watch and other handlers continue; the slow one receives few merged changes, the newest state last."""

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        for version in range(11, 111):
            await asyncio.sleep(0.1)
            await exchange.event("MODIFIED", pod("a", version))
        await exchange.event("ADDED", pod("brief", 111))
        await asyncio.sleep(0.1)
        await exchange.event("DELETED", pod("brief", 112))
        await exchange.hold()

    server.expect(reply(pods(10, pod("a", 3), pod("b", 4))), answer)
    async with running(client) as (informer, quick):
        slow = Recorder(wait=3600)
        registration = informer.add_handler(slow, "slow")
        await eventually(lambda: len(quick.changes) == 104)
        assert quick.times[-1] - quick.times[0] < 12
        assert informer.resource_version == "112"
        assert slow.changes == ["+a@3!"]
        assert registration.pending == 2
        assert registration.name == "pods/slow"
        await asyncio.sleep(3 * 3600)
        assert slow.changes == ["+a@3!", "+b@4!", "a@3>a@110"]
        assert registration.pending == 0


async def test_has_synced(server: FakeServer, client: Client) -> None:
    """The informer has when its store is filled, a handler when it has dealt with what was there."""
    server.expect(reply(pods(10, pod("a", 3), pod("b", 4))), watching(("ADDED", pod("c", 11))))
    informer = Informer(client, PODS, "ns", streaming=False)
    slow = Recorder(wait=100)
    registration = informer.add_handler(slow)
    before = informer.has_synced, registration.has_synced
    task = asyncio.create_task(informer.run())
    start = asyncio.get_running_loop().time()
    await informer.wait_synced()
    between = informer.has_synced, registration.has_synced
    await registration.wait_synced()
    after = informer.has_synced, registration.has_synced
    assert (before, between, after) == ((False, False), (True, False), (True, True))
    assert asyncio.get_running_loop().time() - start == 200
    assert slow.changes == ["+a@3!", "+b@4!", "+c@11"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_empty_list_syncs_too(server: FakeServer, client: Client) -> None:
    """There is nothing to deal with."""
    server.expect(reply(pods(10)), watching())
    informer = Informer(client, PODS, streaming=False)
    registration = informer.add_handler(Recorder())
    task = asyncio.create_task(informer.run())
    await registration.wait_synced()
    assert server.requests[0].path == "/api/v1/pods"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_handler_that_comes_late(server: FakeServer, client: Client) -> None:
    """It receives everything that exists as initial, then the changes."""

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event("ADDED", pod("b", 11))
        await asyncio.sleep(10)
        await exchange.event("ADDED", pod("c", 12))
        await exchange.hold()

    server.expect(reply(pods(10, pod("a", 3))), answer)
    async with running(client) as (informer, _):
        await asyncio.sleep(5)
        late = Recorder()
        registration = informer.add_handler(late)
        await registration.wait_synced()
        assert late.changes == ["+a@3!", "+b@11!"]
        await asyncio.sleep(10)
        assert late.changes == ["+a@3!", "+b@11!", "+c@12"]


async def test_a_handler_that_raises_goes_on(server: FakeServer, client: Client) -> None:
    """Each failure is an event with fields; a cancellation from inside is a failure like any other."""
    received: list[str] = []

    class Failing:
        async def added(self, obj: Object, *, initial: bool) -> None:
            received.append("added")
            raise ValueError("bad luck")

        async def updated(self, old: Object, new: Object) -> None:
            received.append("updated")
            raise asyncio.CancelledError

        async def deleted(self, obj: Object, *, tombstone: bool) -> None:
            received.append("deleted")

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        await asyncio.sleep(1)
        await exchange.event("MODIFIED", pod("a", 11))
        await asyncio.sleep(1)
        await exchange.event("DELETED", pod("a", 12))
        await exchange.hold()

    server.expect(reply(pods(10, pod("a", 3))), answer)
    with structlog.testing.capture_logs() as logs:
        async with running(client) as (informer, recorder):
            informer.add_handler(Failing())
            await eventually(lambda: "deleted" in received)
            assert recorder.changes == ["+a@3!", "a@3>a@11", "-a@12"]
    assert received == ["added", "updated", "deleted"]
    failures = [entry for entry in logs if entry["event"] == "handler_failed"]
    assert [(entry["change"], entry["key"]) for entry in failures] == [("added", "ns/a"), ("updated", "ns/a")]
    assert failures[0]["handler"] == "pods/Failing"
    assert "bad luck" in failures[0]["error"]


async def test_handlers_that_fill_a_work_queue(server: FakeServer, client: Client) -> None:
    """An object's own key, or what is made of it; an update enqueues what old and new say."""

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        await asyncio.sleep(1)
        await exchange.event("MODIFIED", pod("a", 11, labels={"job": "new"}))
        await asyncio.sleep(1)
        await exchange.event("DELETED", pod("b", 12))
        await exchange.hold()

    own: Queue[str] = Queue()
    jobs: list[str] = []

    def owner(obj: Object) -> list[str]:
        job = obj["metadata"].get("labels", {}).get("job")
        return [f"{obj['metadata']['namespace']}/{job}"] if job else []

    server.expect(reply(pods(10, pod("a", 3, labels={"job": "old"}), pod("b", 4))), answer)
    async with running(client) as (informer, _):
        informer.add_handler(EnqueueKeys(own.add))
        informer.add_handler(EnqueueKeys(jobs.append, owner))
        await asyncio.sleep(5)
    assert [await own.get() for _ in range(2)] == ["ns/a", "ns/b"]
    assert jobs == ["ns/old", "ns/old", "ns/new"]
    assert [split_key(key) for key in ("ns/a", "node1")] == [("ns", "a"), (None, "node1")]


async def test_run_ends_when_cancelled_and_leaves_nothing(server: FakeServer, client: Client) -> None:
    """Its tasks end with it."""
    server.expect(reply(pods(10, pod("a", 3))), watching())
    before = asyncio.all_tasks()
    async with running(client) as (informer, _):
        await informer.wait_synced()
        assert len(asyncio.all_tasks() - before) >= 3
    ours = {task for task in asyncio.all_tasks() - before if "FakeServer" not in repr(task)}
    assert ours == set()
