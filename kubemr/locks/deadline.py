"""Give an operation a deadline, without changing the operation."""

from __future__ import annotations

from typing import Any, TypeVar

from attr import evolve

from kubemr.locks.effects import Effect, Now, Op, Request, Sleep, Watch
from kubemr.locks.intercept import intercept

T = TypeVar("T")


def with_deadline(op: Op[T], seconds: float | None, otherwise: T, *, each: float) -> Op[T]:
    """Run `op`, but end with `otherwise` once `seconds` have passed (None: without a deadline).

    No single request lasts longer than `each` seconds.
    After the deadline `op` is closed before its next request or wait.
    What it sent before that may still be carried out.
    """
    limit = float("inf") if seconds is None else seconds
    deadline: float | None = None
    expired = False

    def bounded(effect: Effect) -> Op[Any] | None:
        # The first effect of any kind starts the clock: here, so that `op` has begun and receives what is thrown.
        if deadline is not None and not isinstance(effect, (Request, Sleep, Watch)):
            return None
        return in_time(effect)

    def in_time(effect: Effect) -> Op[Any]:
        nonlocal deadline, expired
        now: float = yield Now()
        if deadline is None:
            deadline = now + limit
        left = deadline - now
        if left <= 0 and isinstance(effect, (Request, Sleep, Watch)):
            expired = True
            op.close()
            return None
        return (yield _shortened(effect, left, each))

    result = yield from intercept(op, bounded)
    return otherwise if expired else result


def _shortened(effect: Effect, left: float, each: float) -> Effect:
    """Return the effect, with a request of at most `each` and a wait of at most `left` seconds."""
    if isinstance(effect, Request):
        return evolve(effect, timeout=min(each, left))
    if isinstance(effect, Sleep):
        return Sleep(min(effect.seconds, left))
    if isinstance(effect, Watch):
        return evolve(effect, timeout=min(effect.timeout, left))
    return effect
