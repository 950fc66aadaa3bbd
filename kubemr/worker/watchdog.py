"""Stop the renewals of the worker's Lease when the worker's loop makes no progress.

User code may run for hours in the child process while the loop waits for it.  The loop itself takes a step at least
every second.  If it takes none for a long time, the worker is stuck and must not look healthy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from attr import define, field

from kubemr.locks.effects import Effect, Op
from kubemr.locks.intercept import intercept

T = TypeVar("T")

STUCK_SECONDS = 300.0
"""Longer than any single effect takes: requests have timeouts, storage gives up retrying well before, and what reads
many objects is several effects (`kubemr.coordination.results`)."""


@define
class Watchdog:
    """The loop runs its operation through `watch`; any other thread asks `alive`."""

    clock: Callable[[], float] = time.monotonic
    _last: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._last = self.clock()

    def alive(self) -> bool:
        """Return True unless the loop has been at one effect for too long."""
        return self.clock() - self._last < STUCK_SECONDS

    def watch(self, op: Op[T]) -> Op[T]:
        """Run `op`, and note the time at each of its effects."""
        return (yield from intercept(op, self._record))

    def _record(self, _effect: Effect) -> None:
        """Note that the loop makes progress; the effect stays as it is."""
        self._last = self.clock()
