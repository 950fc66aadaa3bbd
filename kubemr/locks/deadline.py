"""Give an operation a deadline, without it knowing."""

from __future__ import annotations

from typing import Any, TypeVar

from attr import evolve

from kubemr.locks.effects import Now, Op, Request, Sleep, Watch

T = TypeVar("T")


def with_deadline(op: Op[T], seconds: float | None, otherwise: T, *, each: float) -> Op[T]:
    """Carry `op` out, but end with `otherwise` once `seconds` have passed (None: never).

    No single request lasts longer than `each` seconds.  When the time is over `op` is closed before its
    next request or wait; what it sent before may still land.
    """
    deadline = float("inf") if seconds is None else (yield Now()) + seconds
    sent: Any = None
    failure: Exception | None = None
    try:
        while True:
            effect = op.send(sent) if failure is None else op.throw(failure)
            if isinstance(effect, Request | Sleep | Watch):
                left: float = deadline - (yield Now())
                if left <= 0:
                    return otherwise
                if isinstance(effect, Request):
                    effect = evolve(effect, timeout=min(each, left))
                elif isinstance(effect, Sleep):
                    effect = Sleep(min(effect.seconds, left))
                else:
                    effect = evolve(effect, timeout=min(effect.timeout, left))
            sent, failure = None, None
            try:
                sent = yield effect
            except Exception as problem:
                failure = problem
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        op.close()
