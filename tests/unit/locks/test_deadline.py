"""A deadline for an operation that knows of none."""

from __future__ import annotations

from kubemr.locks import Answer, Op, Request, Resource
from kubemr.locks.deadline import with_deadline
from kubemr.locks.effects import Do, Now, Sleep, Watch, WatchEvent
from support.locktime import Scripted, VirtualTime

GET = Request("get", Resource("", "v1", "pods"), "n", "p")
WATCH = Watch(GET.resource, "n", "1", 50)


def test_what_ends_in_time_is_untouched(time: VirtualTime) -> None:
    """Its result is the result; its requests last no longer than `each`."""

    def op() -> Op[Answer]:
        yield Sleep(1)
        answer: Answer = yield GET
        return answer

    script = Scripted([Answer(200)])
    assert time.run(with_deadline(op(), 10, Answer(0), each=3), script) == Answer(200)
    assert [effect.timeout for effect in script.seen if isinstance(effect, Request)] == [3]


def test_the_last_request_gets_the_time_that_is_left(time: VirtualTime) -> None:
    """Waits and watches too; then comes the other result, and the operation is closed."""
    closed: list[float] = []

    def op() -> Op[str]:
        try:
            yield Sleep(8)
            yield GET
            yield WATCH
            yield Sleep(100)
            yield GET
        finally:
            closed.append(time.now)
        return "in time"

    script = Scripted([Answer(200)])
    script.events = [WatchEvent("ADDED", {})]
    assert time.run(with_deadline(op(), 10, "late", each=3), script) == "late"
    assert [effect.timeout for effect in script.seen if isinstance(effect, Request | Watch)] == [2, 2]
    assert time.slept == [8, 2]
    assert closed == [1010]


def test_exceptions_reach_the_operation(time: VirtualTime) -> None:
    """As without it."""

    def fails() -> None:
        raise OSError("disk full")

    def op() -> Op[str]:
        try:
            yield Do(fails)
        except OSError as problem:
            return f"{problem} {(yield Now())}"
        return ""

    assert time.run(with_deadline(op(), None, "", each=3), Scripted()) == "disk full 1000.0"
