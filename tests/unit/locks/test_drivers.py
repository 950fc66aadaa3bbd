"""Both drivers carry out every effect alike; the names of some tests say what differs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kubemr.locks import Answer, Op, Request, Resource, Stop, StoppedError, aio, run
from kubemr.locks.effects import Do, Now, Random, Sleep, Watch, WatchEvent
from kubemr.locks.threads import uniform
from support.locktime import Scripted, VirtualTime

PODS = Resource("", "v1", "pods")
GET = Request("get", PODS, "n", "p")
WATCH = Watch(PODS, "n", "1", 5)

Run = Callable[..., Any]


class AsyncScripted:
    """The same script, awaited."""

    def __init__(self, script: Scripted) -> None:
        self.script = script

    async def send(self, request: Request) -> Answer:
        return self.script.send(request)

    async def wait(self, watch: Watch) -> WatchEvent | None:
        return self.script.wait(watch)


@pytest.fixture(params=["threads", "aio"])
def drive(request: pytest.FixtureRequest, time: VirtualTime) -> Run:
    """Runs an operation against a script by one of the drivers, in virtual time."""

    async def sleep(seconds: float) -> None:
        time.sleep(seconds)

    def with_aio(op: Op[Any], script: Scripted) -> Any:
        return asyncio.run(
            aio.run(op, AsyncScripted(script), clock=time.clock, sleep=sleep, random=lambda: 0.25),
        )

    def with_threads(op: Op[Any], script: Scripted) -> Any:
        return run(op, script, clock=time.clock, sleep=time.sleep, random=lambda: 0.25)

    return with_aio if request.param == "aio" else with_threads


def test_each_effect_gets_its_answer(drive: Run) -> None:
    """In the order in which the operation yields them."""

    def op() -> Op[list[object]]:
        got: list[object] = [(yield GET), (yield WATCH), (yield Now()), (yield Sleep(2)), (yield Now())]
        return [*got, (yield Random()), (yield Do(lambda: "done"))]

    script = Scripted([Answer(200, {"a": 1})])
    script.events = [WatchEvent("ADDED", {})]
    expected = [Answer(200, {"a": 1}), WatchEvent("ADDED", {}), 1000.0, None, 1002.0, 0.25, "done"]
    assert drive(op(), script) == expected
    assert script.seen == [GET, WATCH]


def test_what_a_function_raises_is_raised_in_the_operation(drive: Run) -> None:
    """It may handle it and go on."""

    def fails() -> None:
        raise OSError("disk full")

    def op() -> Op[str]:
        try:
            yield Do(fails)
        except OSError as problem:
            return f"{problem} at {(yield Now())}"
        return "nothing"

    assert drive(op(), Scripted()) == "disk full at 1000.0"


def test_what_the_operation_raises_is_raised_by_the_driver(drive: Run) -> None:
    """Unchanged."""

    def op() -> Op[None]:
        yield Now()
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        drive(op(), Scripted())


def test_the_operation_is_closed_when_the_transport_breaks(drive: Run) -> None:
    """A transport must not raise; if it does, the operation's own clean-up still runs."""
    closed: list[bool] = []

    def op() -> Op[None]:
        try:
            yield GET
        finally:
            closed.append(True)

    with pytest.raises(IndexError):
        drive(op(), Scripted())
    assert closed == [True]


def test_what_is_no_effect_is_an_error(drive: Run) -> None:
    """Named in the message."""

    def op() -> Op[None]:
        yield "nonsense"  # type: ignore[misc]  # the mistake under test

    with pytest.raises(TypeError, match="'nonsense' is not an effect"):
        drive(op(), Scripted())


async def test_cancellation_closes_the_operation() -> None:
    """Where it stands."""
    closed: list[bool] = []
    waiting = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    def op() -> Op[None]:
        try:
            yield Sleep(5)
        finally:
            closed.append(True)

    task = asyncio.create_task(aio.run(op(), AsyncScripted(Scripted()), sleep=sleep))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [True]


def test_a_stop_ends_a_sleep_and_is_raised_once(time: VirtualTime) -> None:
    """It is raised at the next effect of the operation, which may then clean up with other effects."""
    stop = Stop()
    cleaned: list[float] = []

    def op() -> Op[str]:
        try:
            yield Sleep(3600)
            yield Now()
        except StoppedError:
            yield Sleep(1)
            cleaned.append((yield Now()))
        return "clean"

    threading.Timer(0.05, stop.set).start()
    assert run(op(), Scripted(), clock=time.clock, sleep=time.sleep, stop=stop) == "clean"
    assert cleaned == [1001.0]


def test_a_stop_that_nobody_handles_ends_the_run() -> None:
    """Stopped is raised by the driver then, and nothing was sent."""
    stop = Stop()
    stop.set()

    def op() -> Op[None]:
        yield GET

    script = Scripted()
    with pytest.raises(StoppedError):
        run(op(), script, stop=stop)
    assert script.seen == []


def test_a_stop_calls_back_once() -> None:
    """Those that registered, at once when it is set already, and not those that left."""
    stop = Stop()
    calls: list[str] = []
    with stop.calling(lambda: calls.append("left")):
        pass
    with stop.calling(lambda: calls.append("here")):
        assert not stop.wait(0)
        stop.set()
        stop.set()
    with stop.calling(lambda: calls.append("late")):
        assert stop.wait()
    assert calls == ["here", "late"]


def test_draws_are_between_zero_and_one() -> None:
    """One excluded, and not always the same."""
    draws = {uniform() for _ in range(1000)}
    assert len(draws) > 990
    assert all(0 <= one < 1 for one in draws)
