"""The loop's pulse: the Lease is renewed only as long as the loop goes on.

User code may run for hours in its own process while the loop waits for it; the loop itself takes a step
at least every second.  If it does not for a long while, the worker is stuck and must not look healthy.
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
    """`beat` from the loop's thread, `alive` from any other."""

    clock: Callable[[], float] = time.monotonic
    _last: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._last = self.clock()

    def alive(self) -> bool:
        """True unless the loop has been at one effect for too long."""
        return self.clock() - self._last < STUCK_SECONDS

    def watch(self, op: Op[T]) -> Op[T]:
        """The same operation, with a beat at each of its effects."""
        return (yield from intercept(op, self._record))

    def _record(self, _effect: Effect) -> None:
        """Note that the loop makes progress; the effect stays as it is."""
        self._last = self.clock()
