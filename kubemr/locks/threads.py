"""Run an operation in the calling thread.

The driver carries out the effects of `kubemr.locks.effects` one after the other: HTTP through a
`Transport`, time and chance through functions that a test can replace.  It decides nothing itself: what
an answer means, and whether to ask again, is the operation's business.

A `Stop` ends the waiting: `Sleep` and `Watch` return early once it is set, and at the next effect
`StoppedError` is raised inside the operation, once, so that it can still give back what it holds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from kubemr.locks.effects import Answer, Do, Effect, Now, Op, Random, Request, Sleep, Watch, WatchEvent
from kubemr.locks.errors import LocksError

T = TypeVar("T")


class StoppedError(LocksError):
    """The operation was told to end by its `Stop`."""


class Stop:
    """A flag that one thread sets to end what others wait for.

    Unlike a `threading.Event` it calls back, which is what wakes a thread that sits in a socket.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        # Each is called once, when the flag is set; empty from then on.
        self._callbacks: set[Callable[[], None]] = set()

    def set(self) -> None:
        """Raise the flag, for good."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, set()
        for callback in callbacks:
            callback()

    def is_set(self) -> bool:
        """True once the flag was raised."""
        return self._event.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the flag, at most `seconds`; True when it is raised."""
        return self._event.wait(seconds)

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, `callback()` is called when the flag is raised, at once when it is already."""
        with self._lock:
            already = self._event.is_set()
            if not already:
                self._callbacks.add(callback)
        if already:
            callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.discard(callback)


class Transport(Protocol):
    """Where requests go.  `kubemr.locks.http.HttpTransport` is one."""

    def send(self, request: Request) -> Answer:
        """One HTTP exchange; never raises for what the network or the server did."""
        ...

    def wait(self, watch: Watch, stop: Stop | None = None) -> WatchEvent | None:
        """The first event of a watch, or None; returns early once `stop` is set."""
        ...


def uniform() -> float:
    """An even draw from [0, 1), unlike in every process.  Not `random`, whose import costs more than it gives here."""
    return (int.from_bytes(os.urandom(7), "big") >> 3) * 2.0**-53


def run(
    op: Op[T],
    transport: Transport,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    random: Callable[[], float] = uniform,
    stop: Stop | None = None,
) -> T:
    """Carry `op` out and give its result; what it raises is raised here.

    With `stop`, waiting uses the flag instead of `sleep`.  The generator is closed however this ends.
    """
    stopping = stop

    def perform(effect: Effect) -> Any:
        match effect:
            case Request():
                return transport.send(effect)
            case Watch():
                return transport.wait(effect, stopping)
            case Sleep(seconds):
                return sleep(seconds) if stopping is None else stopping.wait(seconds)
            case Now():
                return clock()
            case Random():
                return random()
            case _:
                raise TypeError(f"{effect!r} is no effect: yield one of those in kubemr.locks.effects")

    try:
        effect = next(op)
        while True:
            if stopping is not None and stopping.is_set():
                stopping = None  # once: what the operation does to clean up is not stopped again
                effect = op.throw(StoppedError("told to stop"))
                continue
            if isinstance(effect, Do):
                try:
                    answer = effect.function()
                except Exception as problem:
                    effect = op.throw(problem)
                    continue
            else:
                answer = perform(effect)
            effect = op.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        op.close()
