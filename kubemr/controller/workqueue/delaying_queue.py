"""A queue that can add a key later: one heap of due times, and one timer for the earliest of them.

A key waits at most once: of two due times it keeps the earlier.
A shutdown drops the keys that still wait, because the next operator to start lists all objects anyway.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable
from typing import TypeVar

from kubemr.controller.clock import Clock, Timer
from kubemr.controller.workqueue.metrics import QueueMetrics
from kubemr.controller.workqueue.queue import Queue

K = TypeVar("K", bound=Hashable)


class DelayingQueue(Queue[K]):
    """A `Queue` with `add_after`."""

    def __init__(self, name: str = "", *, clock: Clock | None = None, metrics: QueueMetrics[K] | None = None) -> None:
        super().__init__(name, clock=clock, metrics=metrics)
        self._heap: list[tuple[float, int, K]] = []
        """(due time, serial number, key).  An entry whose time differs from the one in `_due` was superseded."""
        self._due: dict[K, float] = {}
        """The time at which each waiting key will be added."""
        self._serial = itertools.count()
        self._timer: Timer | None = None
        self._timer_at = 0.0
        """The due time of `_timer`, if there is one: never later than the earliest entry of `_due`."""

    @property
    def waiting(self) -> int:
        """How many keys wait for their due time."""
        return len(self._due)

    def add_after(self, key: K, seconds: float) -> None:
        """Add `key` after `seconds`, or at once if that is zero or less.  Ignored after a shutdown."""
        if self.shutting_down:
            return
        self.metrics.retried()
        if seconds <= 0:
            self.add(key)
            return
        at = self.clock.now() + seconds
        if key in self._due and self._due[key] <= at:
            return
        self._due[key] = at
        heapq.heappush(self._heap, (at, next(self._serial), key))
        self._set_timer(at)

    def shut_down(self) -> None:
        """Shut the queue down, and drop the keys that wait for their due time."""
        self._heap.clear()
        self._due.clear()
        self._stop_timer()
        super().shut_down()

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._stop_timer()
        self._timer, self._timer_at = self.clock.call_at(at, self._release), at

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release(self) -> None:
        """Add all keys that are due, then set the timer for the next one."""
        self._timer = None
        # An event loop's timer may go off a little early, by the resolution of its clock: its time is reached then.
        now = max(self.clock.now(), self._timer_at)
        while self._heap:
            at, _, key = self._heap[0]
            if self._due.get(key) != at:
                heapq.heappop(self._heap)
            elif at <= now:
                heapq.heappop(self._heap)
                del self._due[key]
                self.add(key)
            else:
                self._set_timer(at)
                return
