"""Time as the controller's parts see it: passed in, never read from the side.

There is one time: that of the event loop.  `AsyncioClock` reads it and sets its timers there, so a loop whose time
is virtual (as in the tests) makes every queue, backoff and watch virtual with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is due later and can be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has already happened."""


class Clock(Protocol):
    """A monotonic clock in seconds, with an arbitrary zero."""

    def now(self) -> float:
        """The present moment."""

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less only gives other tasks their turn."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once `now()` has reached `when`."""


class AsyncioClock:
    """The clock of the event loop on which it is first used.  After that, any thread may ask `now`."""

    def __init__(self) -> None:
        self._bound: asyncio.AbstractEventLoop | None = None

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        if self._bound is None:
            self._bound = asyncio.get_running_loop()
        return self._bound

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait on the loop."""
        await asyncio.sleep(max(0.0, seconds))

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """A timer of the loop."""
        return self._loop.call_at(when, callback)
