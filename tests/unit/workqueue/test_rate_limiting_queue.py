"""Per-item exponential delays."""

from __future__ import annotations

import asyncio

from kubemr.controller.workqueue import ItemExponentialLimiter, RateLimitedQueue


def test_doubles_from_5_ms_to_1000_s() -> None:
    """5 ms * 2^failures, at most 1,000 s, however many failures."""
    limiter: ItemExponentialLimiter[str] = ItemExponentialLimiter()
    delays = [limiter.when("a") for _ in range(2000)]
    assert delays[:5] == [0.005, 0.01, 0.02, 0.04, 0.08]
    assert delays[17] == 0.005 * 2**17
    assert delays[18:] == [1000.0] * (2000 - 18)
    assert limiter.num_requeues("a") == 2000


def test_keys_do_not_share_delays() -> None:
    """Each key is counted for itself; `forget` starts one again."""
    limiter: ItemExponentialLimiter[str] = ItemExponentialLimiter()
    limiter.when("a")
    limiter.when("a")
    assert limiter.when("b") == 0.005
    limiter.forget("a")
    limiter.forget("never seen")
    assert limiter.num_requeues("a") == 0
    assert limiter.num_requeues("never seen") == 0
    assert limiter.when("a") == 0.005


async def test_the_queue_waits_as_the_limiter_says() -> None:
    """`add_rate_limited` delays more each time, until `forget`."""
    loop = asyncio.get_running_loop()
    queue: RateLimitedQueue[str] = RateLimitedQueue()
    for failure in range(4):
        start = loop.time()
        delay = queue.add_rate_limited("a")
        assert queue.num_requeues("a") == failure + 1
        await queue.get()
        queue.done("a")
        assert abs(loop.time() - start - 0.005 * 2**failure) < 1e-9
        assert delay == 0.005 * 2**failure
    queue.forget("a")
    assert queue.num_requeues("a") == 0
    assert queue.add_rate_limited("a") == 0.005
