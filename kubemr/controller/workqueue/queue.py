"""A queue of keys to reconcile: each at most once in it, none handed out twice at the same time, none lost.

A key that is added while it waits is not added again.  A key that is added while a worker has it is remembered and
goes back into the queue when that worker calls `done`.  So a burst of changes to one object costs one reconcile, and
a change that arrives during a reconcile is followed by another one.
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
    """The queue is shut down and empty: the worker may go home."""


class Queue(Generic[K]):
    """A deduplicating queue, to be used on one event loop.  `name` names it in metrics."""

    def __init__(self, name: str = "", *, clock: Clock | None = None, metrics: QueueMetrics[K] | None = None) -> None:
        self.name = name
        self.clock: Clock = clock or AsyncioClock()
        self.metrics = metrics or QueueMetrics(name, clock=self.clock)
        self._order: deque[K] = deque()
        """The order of work.  Every element is in `_dirty` and not in `_processing`."""
        self._dirty: set[K] = set()
        """What has to be worked on, whether it waits in `_order` or for the worker that has it to be done."""
        self._processing: set[K] = set()
        """What workers have at the moment.  Some of it may be in `_dirty` too."""
        self._getters: deque[asyncio.Future[None]] = deque()
        self._drained: asyncio.Event = asyncio.Event()
        """Set while nothing waits and nobody works."""
        self._drained.set()
        self._shutting_down = False

    def __len__(self) -> int:
        """How many keys wait; those that a worker has are not counted."""
        return len(self._order)

    @property
    def shutting_down(self) -> bool:
        """True since `shut_down` or `shut_down_with_drain`."""
        return self._shutting_down

    @property
    def processing(self) -> frozenset[K]:
        """The keys that workers have at the moment."""
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
                    self._wake_one()  # the wake-up was meant for somebody: pass it on
                elif getter in self._getters:  # else whoever woke another one has dropped it
                    self._getters.remove(getter)
                raise
        key = self._order.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        self.metrics.started(key)
        return key

    def done(self, key: K) -> None:
        """The caller has finished with `key`, well or badly.  It is queued again if it was added meanwhile."""
        if key not in self._processing:
            raise ValueError(f"done({key!r}): the key is not being processed; call it once for each get()")
        self._processing.discard(key)
        self.metrics.finished(key)
        if key in self._dirty:
            self._push(key)
        elif not self._processing and not self._order:
            self._drained.set()

    def shut_down(self) -> None:
        """Take no more keys; what waits is still handed out, then `get` raises `QueueShutDownError`.

        A key that was added while a worker has it is handed out once more: that worker finds it at its next `get`.
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
