"""What wraps a worker's operations hides no stop from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubemr.locks import Op, Stop, StoppedError, run
from kubemr.locks.effects import Answer, Do, Request, Resource, Sleep
from kubemr.worker.retry_forbidden import retry_forbidden
from kubemr.worker.watchdog import Watchdog
from support.locktime import Scripted, VirtualTime

GET = Request("get", Resource("", "v1", "pods"), "n", "p")


def watched(op: Op[Any]) -> Op[Any]:
    return Watchdog(lambda: 0.0).watch(op)


def both(op: Op[Any]) -> Op[Any]:
    return watched(retry_forbidden(op))


@pytest.mark.parametrize("wrap", [watched, retry_forbidden, both])
def test_a_stop_reaches_the_operation(wrap: Callable[[Op[Any]], Op[Any]]) -> None:
    """It may give back what it holds by further effects."""
    time, stop, script = VirtualTime(), Stop(), Scripted([Answer(200), Answer(200)])

    def op() -> Op[str]:
        try:
            yield GET
            yield Do(stop.set)
            yield Sleep(3600)
        except StoppedError:
            yield GET
            return "gave it back"
        return "was not stopped"

    assert run(wrap(op()), script, clock=time.clock, sleep=time.sleep, stop=stop) == "gave it back"
    assert script.seen == [GET, GET]


def test_a_stop_between_two_tries_of_a_denied_request_reaches_the_operation() -> None:
    """At its request, which is not sent again."""
    time, stop = VirtualTime(), Stop()

    def denied(_request: Request) -> Answer:
        stop.set()
        return Answer(403)

    def op() -> Op[str]:
        try:
            yield GET
        except StoppedError:
            return "stopped"
        return "answered"

    script = Scripted([denied])
    assert run(retry_forbidden(op()), script, clock=time.clock, sleep=time.sleep, stop=stop) == "stopped"
    assert script.seen == [GET]
