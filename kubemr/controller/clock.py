"""Time for the parts of the controller, which get a clock as an argument and never read another.

There is one time: that of the event loop.  `AsyncioClock` reads it and sets its timers there.
On a loop with virtual time, as in the tests, every queue, backoff and watch has virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is due later and can be cancelled."""

    def cancel(self) -> None:
        """Cancel the call.  After the call it has no effect."""


class Clock(Protocol):
    """A monotonic clock in seconds, with an arbitrary zero."""

    def now(self) -> float:
        """Return the present time."""

    async def sleep(self, seconds: float) -> None:
        """Wait; with zero or less, let other tasks run once."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once `now()` has reached `when`."""


class AsyncioClock:
    """The clock of the event loop on which it is first used.  After that, any thread may call `now`."""

    def __init__(self) -> None:
        self._bound: asyncio.AbstractEventLoop | None = None

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        if self._bound is None:
            self._bound = asyncio.get_running_loop()
        return self._bound

    def now(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait on the loop."""
        await asyncio.sleep(max(0.0, seconds))

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Set a timer of the loop."""
        return self._loop.call_at(when, callback)
