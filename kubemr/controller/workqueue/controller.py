"""A pool of workers that reconcile the keys of a queue.

Each worker takes a key, awaits `reconcile(key)` and calls `done`.  The outcome of `reconcile` decides what follows:

===========================  =====================================================================
it returns None              the key's failures are forgotten
it returns seconds (float)   the same, and the key is added again after that time
it raises                    an error is logged; the key is added again, later with each failure
===========================  =====================================================================

No exception ends a worker.
`stop` lets the workers process the keys that were added, up to a deadline, and then cancels them.
Cancelling `run` cancels the workers at once.
Either way `reconcile` may be cancelled at any `await`, so it must be idempotent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import structlog

from kubemr.controller.workqueue.queue import QueueShutDownError
from kubemr.controller.workqueue.rate_limiting_queue import RateLimitedQueue

K = TypeVar("K", bound=Hashable)

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Controller(Generic[K]):
    """Run `workers` coroutines over `queue`.  `name` identifies the controller in the log."""

    def __init__(
        self,
        name: str,
        queue: RateLimitedQueue[K],
        reconcile: Callable[[K], Awaitable[float | None]],
        *,
        workers: int = 4,
    ) -> None:
        if workers < 1:
            raise ValueError(f"controller {name!r}: workers is {workers}; at least 1 is needed")
        self.name = name
        self.queue = queue
        self._reconcile = reconcile
        self._workers = workers
        self._tasks: list[asyncio.Task[None]] = []
        self._log = log.bind(controller=name)

    async def run(self) -> None:
        """Process keys until `stop`, or until cancelled."""
        self._tasks = [
            asyncio.create_task(self._work(), name=f"{self.name}-{number}") for number in range(self._workers)
        ]
        self._log.info("controller_started", workers=self._workers)
        try:
            await asyncio.wait(self._tasks)
        finally:
            self.queue.shut_down()
            await self._end_workers()
            self._log.info("controller_stopped")

    async def stop(self, drain_seconds: float) -> bool:
        """Accept no more keys, and let `run` return.

        Wait up to `drain_seconds` for the workers to process all keys, then cancel what is left.
        Return True if all keys were processed.
        """
        try:
            async with asyncio.timeout(drain_seconds):
                await self.queue.shut_down_with_drain()
        except TimeoutError:
            self._log.warning(
                "drain_timed_out", seconds=drain_seconds, waiting=len(self.queue), working=len(self.queue.processing)
            )
            return False
        else:
            return True
        finally:
            await self._end_workers()

    async def _end_workers(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueShutDownError:
                return
            try:
                await self._reconcile_one(key)
            finally:
                self.queue.done(key)

    async def _reconcile_one(self, key: K) -> None:
        started = self.queue.clock.now()
        try:
            again_after = await self._reconcile(key)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._retry_later(key, error, started)  # something it awaited was cancelled, not this worker
        except Exception as error:
            self._retry_later(key, error, started)
        else:
            self.queue.forget(key)
            if again_after is not None:
                self.queue.add_after(key, again_after)

    def _retry_later(self, key: K, error: BaseException, started: float) -> None:
        delay = self.queue.add_rate_limited(key)
        self._log.error(
            "reconcile_failed",
            key=key,
            error=str(error) or type(error).__name__,
            failures=self.queue.num_requeues(key),
            retry_after_seconds=delay,
            seconds=round(self.queue.clock.now() - started, 6),
            exc_info=error,
        )
