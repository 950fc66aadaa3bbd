"""The watcher's backoff: 0.8 s doubling to 30 s, full jitter, reset after two quiet minutes."""

from __future__ import annotations

import asyncio

from kubemr.controller.backoff import ResettingBackoff
from kubemr.controller.clock import AsyncioClock


async def test_ceilings_double_to_30_s() -> None:
    """The ceiling of the wait doubles from 0.8 s and stays at 30 s."""
    backoff = ResettingBackoff(AsyncioClock(), lambda: 1.0)
    assert [backoff.next() for _ in range(8)] == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


async def test_full_jitter() -> None:
    """Any wait from zero to the ceiling."""
    assert ResettingBackoff(AsyncioClock(), lambda: 0.0).next() == 0
    assert ResettingBackoff(AsyncioClock(), lambda: 0.5).next() == 0.4


async def test_resets_after_two_quiet_minutes() -> None:
    """The quiet time begins when the last wait is over."""
    backoff = ResettingBackoff(AsyncioClock(), lambda: 1.0)
    for _ in range(4):
        backoff.next()
    await asyncio.sleep(6.4 + 119)
    assert backoff.next() == 12.8
    await asyncio.sleep(12.8 + 120)
    assert backoff.next() == 0.8


async def test_retry_after_is_the_least() -> None:
    """The server's Retry-After is waited for, and jitter on top."""
    assert ResettingBackoff(AsyncioClock(), lambda: 0.5).next(10) == 10.4


async def test_the_clock_sleeps_on_the_loop() -> None:
    """A negative wait is none."""
    clock = AsyncioClock()
    start = clock.now()
    await clock.sleep(-5)
    await clock.sleep(2)
    assert clock.now() - start == 2
