"""What lock tests run operations with: virtual time, and answers that no real server can be made to give."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from kubemr.locks.effects import Answer, Effect, Op, Request, Watch, WatchEvent
from kubemr.locks.threads import Stop, Transport, run

T = TypeVar("T")


class VirtualTime:
    """A clock that advances only by sleeps and watches."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        """Return the virtual time, in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advance the virtual time."""
        self.slept.append(seconds)
        self.now += seconds

    def run(self, op: Op[T], transport: Transport, random: Callable[[], float] = lambda: 0.5) -> T:
        """Run `op` over `transport`, in virtual time."""
        return run(op, transport, clock=self.clock, sleep=self.sleep, random=random)


class NoWatch:
    """A transport whose watches never return an event: the virtual time advances to their end."""

    def __init__(self, inner: Transport, time: VirtualTime) -> None:
        self.inner = inner
        self.time = time
        self.requests: list[Request] = []
        # Called before each request, e.g. to let another process act in between.
        self.before: Callable[[Request], None] = lambda request: None

    def send(self, request: Request) -> Answer:
        """Send the request over `inner`."""
        self.requests.append(request)
        self.before(request)
        return self.inner.send(request)

    def wait(self, watch: Watch, stop: Stop | None = None) -> WatchEvent | None:
        """Let the watch time out."""
        self.time.now += watch.timeout
        return None


class Scripted:
    """A server that returns given answers in order; each may be a function of the request."""

    def __init__(self, answers: Iterable[Answer | Callable[[Request], Answer]] = ()) -> None:
        self.answers = list(answers)
        self.events: list[WatchEvent | None] = []
        self.seen: list[Effect] = []

    def send(self, request: Request) -> Answer:
        """Return the next answer."""
        self.seen.append(request)
        answer = self.answers.pop(0)
        return answer(request) if callable(answer) else answer

    def wait(self, watch: Watch, stop: Stop | None = None) -> WatchEvent | None:
        """Return the next event."""
        self.seen.append(watch)
        return self.events.pop(0)
