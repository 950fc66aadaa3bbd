"""A queue of keys to reconcile.  No key is lost, is in the queue twice, or is with two workers at the same time.

A key that is added while it waits is not added again.
A key that is added while a worker processes it returns to the queue when that worker calls `done`.
So a burst of changes to one object costs one reconciliation.
A change that arrives during a reconciliation causes another one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from kubemr.controller.clock import AsyncioClock, Clock
from kubemr.controller.workqueue.metrics import QueueMetrics

K = TypeVar("K", bound=Hashable)


class QueueShutDownError(Exception):
    """The queue is shut down and empty: the worker ends."""


class Queue(Generic[K]):
    """A deduplicating queue for one event loop.  `name` identifies it in metrics."""

    def __init__(self, name: str = "", *, clock: Clock | None = None, metrics: QueueMetrics[K] | None = None) -> None:
        self.name = name
        self.clock: Clock = clock or AsyncioClock()
        self.metrics = metrics or QueueMetrics(name, clock=self.clock)
        self._order: deque[K] = deque()
        """The order of work.  Every element is in `_dirty` and not in `_processing`."""
        self._dirty: set[K] = set()
        """The keys that need work: those in `_order`, and those that were added while a worker processes them."""
        self._processing: set[K] = set()
        """The keys that workers process now.  Some of them may be in `_dirty` too."""
        self._getters: deque[asyncio.Future[None]] = deque()
        self._drained: asyncio.Event = asyncio.Event()
        """Set while no key waits and no worker processes one."""
        self._drained.set()
        self._shutting_down = False

    def __len__(self) -> int:
        """Return how many keys wait, without those that workers process."""
        return len(self._order)

    @property
    def shutting_down(self) -> bool:
        """True since `shut_down` or `shut_down_with_drain`."""
        return self._shutting_down

    @property
    def processing(self) -> frozenset[K]:
        """The keys that workers process now."""
        return frozenset(self._processing)

    def add(self, key: K) -> None:
        """Mark `key` as in need of work.  Ignored after a shutdown."""
        if self._shutting_down or key in self._dirty:
            return
        self.metrics.added(key)
        self._dirty.add(key)
        if key not in self._processing:
            self._push(key)

    async def get(self) -> K:
        """Return the next key.  No other worker gets it before the caller calls `done(key)`.

        Raises `QueueShutDownError` when the queue is shut down and empty.
        """
        while not self._order:
            if self._shutting_down:
                raise QueueShutDownError(f"work queue {self.name!r} is shut down")
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.done() and not getter.cancelled():
                    self._wake_one()  # the wake-up was meant for a waiting worker: pass it on
                elif getter in self._getters:  # else `_wake_one` has removed it
                    self._getters.remove(getter)
                raise
        key = self._order.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        self.metrics.started(key)
        return key

    def done(self, key: K) -> None:
        """Mark `key` as processed, with or without success.  It is queued again if it was added in the meantime."""
        if key not in self._processing:
            raise ValueError(f"done({key!r}): the key is not being processed; call it once for each get()")
        self._processing.discard(key)
        self.metrics.finished(key)
        if key in self._dirty:
            self._push(key)
        elif not self._processing and not self._order:
            self._drained.set()

    def shut_down(self) -> None:
        """Accept no more keys.  `get` still returns the waiting ones, then raises `QueueShutDownError`.

        A key that was added while a worker processes it is processed once more: that worker gets it at its next `get`.
        """
        self._shutting_down = True
        self._wake_all()

    async def shut_down_with_drain(self) -> None:
        """Accept no more keys, and return when the workers are done with all keys that were added before.

        It needs workers that call `get` and `done` until `QueueShutDownError`.  Set a deadline (`asyncio.timeout`).
        """
        self.shut_down()
        await self._drained.wait()

    def _push(self, key: K) -> None:
        self._order.append(key)
        self._drained.clear()
        self._wake_one()

    def _wake_one(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._getters:
            self._wake_one()
