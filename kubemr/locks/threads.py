"""Run an operation in the calling thread.

The driver carries out the effects of `kubemr.locks.effects` one after the other.
HTTP goes through a `Transport`; the clock, sleep and random numbers are functions that a test can replace.
The driver makes no decisions: the operation interprets each answer and decides whether to repeat a request.

A `Stop` ends waits: `Sleep` and `Watch` return early once it is set.
At the next effect `StoppedError` is raised inside the operation, once, so that it can still release what it holds.
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
    """The `Stop` of the operation was set."""


class Stop:
    """A flag that one thread sets to end the waits of others.

    Unlike a `threading.Event` it has callbacks, which wake a thread that blocks on a socket.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        # Each callback is called once, when the flag is set; the set is empty from then on.
        self._callbacks: set[Callable[[], None]] = set()

    def set(self) -> None:
        """Set the flag permanently."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, set()
        for callback in callbacks:
            callback()

    def is_set(self) -> bool:
        """Return True if the flag is set."""
        return self._event.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the flag, at most `seconds`; return True if it is set."""
        return self._event.wait(seconds)

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback()` when the flag is set within the block, or at once if it is set already."""
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
    """Carries out requests, as `kubemr.locks.http.HttpTransport` does."""

    def send(self, request: Request) -> Answer:
        """Send a request and return the answer; do not raise for failures of the network or the server."""
        ...

    def wait(self, watch: Watch, stop: Stop | None = None) -> WatchEvent | None:
        """Return the first event of a watch, or None; return early once `stop` is set."""
        ...


def uniform() -> float:
    """Return a random number from [0, 1), different in every process.

    The import of the module `random` takes too long.
    """
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
    """Carry out `op` and return its result; raise what it raises.

    With `stop`, waits use the flag instead of `sleep`.
    The generator is closed in any case.
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
                raise TypeError(f"{effect!r} is not an effect: yield one of those in kubemr.locks.effects")

    try:
        effect = next(op)
        while True:
            if stopping is not None and stopping.is_set():
                stopping = None  # Once: the effects of the operation's clean-up are not stopped again.
                effect = op.throw(StoppedError("the operation's Stop was set"))
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
