"""Run an operation under asyncio: as `kubemr.locks.threads`, with `await`.

Cancellation closes the operation at its current effect.
A request that was sent before may still be carried out, exactly as after a crash.
The next operation on the same object finds out.
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
    """Carries out requests."""

    async def send(self, request: Request) -> Answer:
        """Send a request and return the answer; do not raise for failures of the network or the server."""
        ...

    async def wait(self, watch: Watch) -> WatchEvent | None:
        """Return the first event of a watch, or None."""
        ...


async def run(
    op: Op[T],
    transport: AsyncTransport,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    random: Callable[[], float] = uniform,
) -> T:
    """Carry out `op` and return its result; raise what it raises.

    `Do` runs in a thread, because it may block.
    The generator is closed in any case.
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
                raise TypeError(f"{effect!r} is not an effect: yield one of those in kubemr.locks.effects")

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
