"""`add_after`: a key is added when its time has come, once."""

from __future__ import annotations

import asyncio
import random

from kubemr.controller.workqueue import DelayingQueue


def now() -> float:
    """Return the loop's virtual time."""
    return asyncio.get_running_loop().time()


async def test_a_key_is_added_at_its_time() -> None:
    """Not before, and by the injected clock."""
    queue: DelayingQueue[str] = DelayingQueue()
    start = now()
    queue.add_after("a", 5)
    assert len(queue) == 0
    assert await queue.get() == "a"
    assert now() - start == 5
    assert queue.waiting == 0


async def test_no_delay_means_now() -> None:
    """Zero and negative delays add at once."""
    queue: DelayingQueue[str] = DelayingQueue()
    queue.add_after("a", 0)
    queue.add_after("b", -1)
    assert len(queue) == 2


async def test_the_earlier_time_wins() -> None:
    """A key waits once: asked for two times, it comes at the earlier one only."""
    queue: DelayingQueue[str] = DelayingQueue()
    start = now()
    queue.add_after("a", 10)
    queue.add_after("a", 3)
    queue.add_after("a", 20)
    queue.add_after("later", 11)
    assert queue.waiting == 2
    assert await queue.get() == "a"
    assert now() - start == 3
    queue.done("a")
    assert await queue.get() == "later"
    assert now() - start == 11
    await asyncio.sleep(20)
    assert len(queue) == 0


async def test_keys_come_in_the_order_of_their_times() -> None:
    """One heap, one timer: any order of adds gives the order of due times."""
    queue: DelayingQueue[int] = DelayingQueue()
    delays = list(range(1, 100))
    random.Random(1).shuffle(delays)
    start = now()
    for delay in delays:
        queue.add_after(delay, delay)
    for expected in range(1, 100):
        assert await queue.get() == expected
        assert now() - start == expected


async def test_a_key_may_wait_and_be_queued() -> None:
    """A delayed add is independent of a direct one: the key comes again at its time."""
    queue: DelayingQueue[str] = DelayingQueue()
    queue.add_after("a", 5)
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0
    assert await queue.get() == "a"
