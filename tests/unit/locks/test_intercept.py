"""An interceptor sees every effect of an operation, and hides nothing from the operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubemr.locks import Op, Stop, StoppedError, run
from kubemr.locks.deadline import with_deadline
from kubemr.locks.effects import Do, Effect, Now, Random, Sleep
from kubemr.locks.intercept import intercept
from support.locktime import Scripted, VirtualTime

Wrap = Callable[[Op[Any]], Op[Any]]


def unchanged(op: Op[Any]) -> Op[Any]:
    return intercept(op, lambda effect: None)


def replaced(op: Op[Any]) -> Op[Any]:
    """Each effect becomes an operation of two."""

    def around(effect: Effect) -> Op[Any]:
        yield Random()
        return (yield effect)

    return intercept(op, around)


def bounded(op: Op[Any]) -> Op[Any]:
    return with_deadline(op, 10, "late", each=3)


def unbounded(op: Op[Any]) -> Op[Any]:
    return with_deadline(op, None, "late", each=3)


def nested(op: Op[Any]) -> Op[Any]:
    return unchanged(bounded(replaced(op)))


wrapped = pytest.mark.parametrize("wrap", [unchanged, replaced, bounded, unbounded, nested])


def test_the_answer_of_the_replacement_reaches_the_operation(time: VirtualTime) -> None:
    """And its other effects are carried out by the driver; None leaves an effect as it is."""

    def later(effect: Effect) -> Op[float]:
        yield Sleep(5)
        now: float = yield effect
        return now + 0.5

    def op() -> Op[list[float]]:
        return [(yield Now()), (yield Random()), (yield Now())]

    intercepted = intercept(op(), lambda effect: later(effect) if isinstance(effect, Now) else None)
    assert time.run(intercepted, Scripted(), random=lambda: 0.25) == [1005.5, 0.25, 1010.5]
    assert time.slept == [5, 5]


def test_what_the_replacement_raises_is_raised_in_the_operation(time: VirtualTime) -> None:
    """At the effect that was replaced."""

    def refused(effect: Effect) -> Op[Any]:
        yield Sleep(1)
        raise OSError(f"no {type(effect).__name__}")

    def op() -> Op[str]:
        try:
            yield Now()
        except OSError as problem:
            return str(problem)
        return "answered"

    assert time.run(intercept(op(), refused), Scripted()) == "no Now"


def test_the_interceptor_may_close_the_operation(time: VirtualTime) -> None:
    """The operation cleans up at once, and receives nothing more."""
    seen: list[object] = []

    def op() -> Op[str]:
        try:
            seen.append((yield Now()))
            seen.append((yield Random()))
        finally:
            seen.append("closed")
        return "done"

    operation = op()

    def around(effect: Effect) -> Op[str] | None:
        return ending() if isinstance(effect, Random) else None

    def ending() -> Op[str]:
        operation.close()
        seen.append((yield Now()))
        return "an answer that no operation receives"

    assert time.run(intercept(operation, around), Scripted()) is None
    assert seen == [1000.0, "closed", 1000.0]


@wrapped
def test_a_stop_reaches_the_operation(wrap: Wrap, time: VirtualTime) -> None:
    """It may give back what it holds by further effects, and its own result is the result."""
    stop = Stop()

    def op() -> Op[str]:
        try:
            yield Do(stop.set)
            yield Sleep(3600)
        except StoppedError:
            yield Sleep(1)
            return f"gave it back at {(yield Now()):g}"
        return "was not stopped"

    transport = Scripted()
    assert run(wrap(op()), transport, clock=time.clock, sleep=time.sleep, stop=stop) == "gave it back at 1001"


@wrapped
def test_a_stop_before_the_first_effect_reaches_the_operation(wrap: Wrap, time: VirtualTime) -> None:
    """As it does without a wrapper: the operation has begun by then."""
    stop = Stop()
    stop.set()

    def op() -> Op[str]:
        try:
            yield Now()
        except StoppedError:
            return "stopped"
        return "was not stopped"

    assert run(wrap(op()), Scripted(), clock=time.clock, sleep=time.sleep, stop=stop) == "stopped"


@wrapped
def test_a_stop_that_the_operation_does_not_handle_ends_the_run(wrap: Wrap, time: VirtualTime) -> None:
    """The driver raises it, after the operation's `finally`."""
    stop = Stop()
    closed: list[str] = []

    def op() -> Op[None]:
        try:
            yield Do(stop.set)
            yield Sleep(3600)
        except BaseException as thrown:
            closed.append(type(thrown).__name__)
            raise

    with pytest.raises(StoppedError):
        run(wrap(op()), Scripted(), clock=time.clock, sleep=time.sleep, stop=stop)
    assert closed == ["StoppedError"]


@wrapped
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_whatever_is_thrown_reaches_the_operation(wrap: Wrap, error: type[BaseException]) -> None:
    """Not only an Exception."""
    received: list[str] = []

    def op() -> Op[None]:
        try:
            yield Now()
        except BaseException as thrown:
            received.append(type(thrown).__name__)
            raise

    driven = wrap(op())
    next(driven)
    with pytest.raises(error):
        driven.throw(error("thrown by the driver"))
    assert received == [error.__name__]


@wrapped
def test_closing_closes_the_operation(wrap: Wrap) -> None:
    """A driver that ends early runs the operation's clean-up."""
    closed: list[str] = []

    def op() -> Op[None]:
        try:
            while True:
                yield Now()
        except GeneratorExit:
            closed.append("closed")
            raise

    driven = wrap(op())
    next(driven)
    driven.close()
    assert closed == ["closed"]


@wrapped
def test_the_result_and_the_error_of_the_operation_are_those_of_the_whole(wrap: Wrap, time: VirtualTime) -> None:
    """Unchanged."""

    def ends() -> Op[float]:
        now: float = yield Now()
        return now

    def fails() -> Op[None]:
        yield Now()
        raise KeyError("x")

    assert time.run(wrap(ends()), Scripted()) == 1000.0
    with pytest.raises(KeyError, match="x"):
        time.run(wrap(fails()), Scripted())
