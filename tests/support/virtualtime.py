"""An event loop whose time is virtual: it jumps to the next timer as soon as nothing else can happen.

Real sockets work on it, if both ends of a connection live on the loop (as with `support.fakeserver`): time stands
still while bytes are under way.  So a test of a 10-minute watch takes milliseconds, and no test sleeps.
Jobs in executor threads hold the time too.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

GRACE = 0.005
"""Real seconds without any I/O after which nothing is taken to be under way on the loopback device."""

STUCK = 20.0
"""Real seconds after which a loop without timers and without I/O is reported: the test waits for nothing."""


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer, moves the loop's clock to it."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            ready = super().select(STUCK)
            if not ready:
                raise RuntimeError(f"nothing is scheduled and no I/O came in {STUCK} real seconds: deadlock")
            return ready
        if self.loop.jobs:
            return super().select(0.05)
        has_sockets = len(self.get_map()) > 1  # one is the loop's own wake-up pipe
        ready = super().select(GRACE if has_sockets else 0)
        if not ready:
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time()` starts at 1000 s and moves only by jumps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.jobs = 0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self.now

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """No time passes inside: for what happens outside the loop, such as a child process."""
        self.jobs += 1
        try:
            yield
        finally:
            self.jobs -= 1

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As usual, but time stands still until the job is done."""
        future = super().run_in_executor(executor, func, *args)
        self.jobs += 1

        def finished(_: object) -> None:
            self.jobs -= 1

        future.add_done_callback(finished)
        return future

    async def shutdown_default_executor(  # asyncio's own signature
        self,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> None:
        """As usual, but time stands still: newer Pythons give the threads a time limit, which would be jumped over."""
        with self.standing_still():
            await super().shutdown_default_executor()


async def settle(turns: int = 20) -> None:
    """Let every task that can run do so; no time passes."""
    for _ in range(turns):
        await asyncio.sleep(0)
