"""Shutting a queue down, with and without drain."""

from __future__ import annotations

import asyncio

import pytest

from kubemr.controller.workqueue import Queue, QueueShutDownError, RateLimitedQueue
from support.virtualtime import settle


async def test_what_waits_is_still_handed_out() -> None:
    """After a shutdown the waiting keys are handed out, then `get` ends; new keys are refused."""
    queue: Queue[str] = Queue("jobs")
    queue.add("a")
    queue.shut_down()
    queue.add("b")
    assert queue.shutting_down
    assert await queue.get() == "a"
    with pytest.raises(QueueShutDownError, match="jobs"):
        await queue.get()


async def test_waiting_workers_go_home() -> None:
    """A shutdown wakes every worker that waits."""
    queue: Queue[str] = Queue()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await settle()
    queue.shut_down()
    outcomes = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(outcome, QueueShutDownError) for outcome in outcomes)


async def test_drain_waits_for_work_in_progress_and_for_keys_added_during_it() -> None:
    """A drain ends when the last key is done, also one that was added again while it was in work."""
    queue: Queue[str] = Queue()
    for key in "ab":
        queue.add(key)
    assert await queue.get() == "a"
    queue.add("a")
    drain = asyncio.create_task(queue.shut_down_with_drain())
    await settle()
    queue.add("c")
    queue.done("a")
    for key in "ba":
        assert await queue.get() == key
        await settle()
        assert not drain.done()
        queue.done(key)
    await drain
    with pytest.raises(QueueShutDownError):
        await queue.get()


async def test_drain_of_an_idle_queue_is_immediate() -> None:
    """Nothing to wait for."""
    queue: Queue[str] = Queue()
    await queue.shut_down_with_drain()


async def test_drain_can_have_a_deadline() -> None:
    """A drain that a stuck worker holds up is ended by the caller's timeout."""
    queue: Queue[str] = Queue()
    queue.add("a")
    await queue.get()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await queue.shut_down_with_drain()


async def test_delayed_keys_are_dropped() -> None:
    """Keys that wait for their time are forgotten by a shutdown, and none is accepted after it."""
    queue: RateLimitedQueue[str] = RateLimitedQueue()
    queue.add_after("a", 5)
    assert queue.waiting == 1
    queue.shut_down()
    queue.add_after("b", 5)
    queue.add_rate_limited("c")
    assert queue.waiting == 0
    await asyncio.sleep(10)
    assert len(queue) == 0
