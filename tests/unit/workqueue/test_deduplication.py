"""A key waits at most once, is never handed out twice at once, and no change is lost."""

from __future__ import annotations

import asyncio

import pytest

from kubemr.controller.workqueue import Queue
from support.virtualtime import settle


async def test_a_waiting_key_is_not_added_again() -> None:
    """A burst of adds of one key is one piece of work, in the place of its first add."""
    queue: Queue[str] = Queue()
    for key in ["a", "b", "a", "a"]:
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_key_added_while_processed_comes_back_after_done() -> None:
    """An add during the work is remembered, however often it comes, and handed out once, after `done`."""
    queue: Queue[str] = Queue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    assert queue.processing == {"a"}
    second = asyncio.create_task(queue.get())
    await settle()
    assert not second.done()
    queue.done("a")
    assert await second == "a"
    queue.done("a")
    assert len(queue) == 0
    assert queue.processing == set()


async def test_never_twice_at_once_under_many_workers() -> None:
    """Ten workers, one hot key: at most one of them has it, and the last state is always worked on."""
    queue: Queue[str] = Queue()
    wanted = 0
    seen = 0
    active = 0

    async def worker() -> None:
        nonlocal seen, active
        while True:
            key = await queue.get()
            active += 1
            assert active == 1
            seen = wanted
            await asyncio.sleep(0.01)
            active -= 1
            queue.done(key)

    workers = [asyncio.create_task(worker()) for _ in range(10)]
    for _ in range(200):
        wanted += 1
        queue.add("hot")
        await asyncio.sleep(0.003)
    await asyncio.sleep(1)
    for task in workers:
        assert not task.done()
        task.cancel()
    assert seen == wanted


async def test_done_without_get_is_an_error() -> None:
    """`done` of a key that no worker has names the key."""
    queue: Queue[str] = Queue()
    with pytest.raises(ValueError, match="'a'"):
        queue.done("a")


async def test_a_cancelled_getter_passes_its_wake_up_on() -> None:
    """A worker that is cancelled at the moment when a key arrives does not take the key's wake-up with it."""
    queue: Queue[str] = Queue()
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await settle()
    queue.add("a")
    first.cancel()
    assert await second == "a"
    assert first.cancelled() or await asyncio.gather(first, return_exceptions=True)


async def test_a_getter_that_is_cancelled_before_a_key_comes_ends_as_cancelled() -> None:
    """The key goes to the next in line, and the cancelled one has nothing to say about it."""
    queue: Queue[str] = Queue()
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await settle()
    first.cancel()
    queue.add("a")
    assert await second == "a"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_cancelled_getter_leaves_the_line() -> None:
    """A worker cancelled while it waits is not woken for later keys."""
    queue: Queue[str] = Queue()
    first = asyncio.create_task(queue.get())
    await settle()
    first.cancel()
    await settle()
    queue.add("a")
    assert await queue.get() == "a"


async def test_two_getters_woken_for_one_key() -> None:
    """A getter that finds the queue empty after its wake-up waits on."""
    queue: Queue[str] = Queue()
    getter = asyncio.create_task(queue.get())
    await settle()
    queue.add("a")
    assert await queue.get() == "a"  # overtakes the one that was woken
    await settle()
    assert not getter.done()
    queue.add("b")
    assert await getter == "b"
