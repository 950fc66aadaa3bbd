"""Run an operation under asyncio: `kubemr.locks.threads` once more, with `await`.

Cancellation closes the operation where it stands.  What it had sent by then may still land, exactly as
after a crash: the next operation on the same object finds out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from kubemr.locks.effects import Answer, Do, Effect, Now, Op, Random, Request, Sleep, Watch, WatchEvent
from kubemr.locks.threads import uniform

T = TypeVar("T")


class AsyncTransport(Protocol):
    """Where requests go."""

    async def send(self, request: Request) -> Answer:
        """One HTTP exchange; never raises for what the network or the server did."""
        ...

    async def wait(self, watch: Watch) -> WatchEvent | None:
        """The first event of a watch, or None."""
        ...


async def run(
    op: Op[T],
    transport: AsyncTransport,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    random: Callable[[], float] = uniform,
) -> T:
    """Carry `op` out and give its result; what it raises is raised here.

    `Do` runs in a thread, since it may block.  The generator is closed however this ends.
    """

    async def perform(effect: Effect) -> Any:
        match effect:
            case Request():
                return await transport.send(effect)
            case Watch():
                return await transport.wait(effect)
            case Sleep(seconds):
                return await sleep(seconds)
            case Now():
                return clock()
            case Random():
                return random()
            case _:
                raise TypeError(f"{effect!r} is no effect: yield one of those in kubemr.locks.effects")

    try:
        effect = next(op)
        while True:
            if isinstance(effect, Do):
                try:
                    answer = await asyncio.to_thread(effect.function)
                except Exception as problem:
                    effect = op.throw(problem)
                    continue
            else:
                answer = await perform(effect)
            effect = op.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        op.close()
