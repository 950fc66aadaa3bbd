"""Retry requests that the apiserver rejects with 401 or 403 shortly after it or the pod has started.

Rights may be granted a moment after a pod has started.  An apiserver that has just started answers requests before it
has read the access rights: with 403, or with 401 for a service account's token.  So a denial is final only when it has
lasted for `PATIENCE_SECONDS`.  Rights that were really removed end the worker that much later.
"""

from __future__ import annotations

from typing import Final, TypeVar

from kubemr.locks.backoff import Backoff
from kubemr.locks.effects import Answer, Now, Op, Random, Request, Sleep
from kubemr.locks.intercept import intercept

T = TypeVar("T")

PATIENCE_SECONDS: Final = 10.0
LONGEST_SECONDS: Final = 1.0
"""The longest wait between two tries: within it others must see that the worker lives."""
DENIALS: Final = (401, 403)


def retry_forbidden(op: Op[T], longest: float = LONGEST_SECONDS) -> Op[T]:
    """Run `op`, and send denied requests again: a denied request was not carried out.

    `longest` bounds each wait, in seconds.
    """
    return (yield from intercept(op, lambda effect: _allowed(effect, longest) if isinstance(effect, Request) else None))


def _allowed(request: Request, longest: float) -> Op[Answer]:
    backoff = Backoff(longest=longest)
    began: float | None = None
    while True:
        answer: Answer = yield request
        if answer.status not in DENIALS:
            return answer
        now: float = yield Now()
        began = now if began is None else began
        wait = backoff.next((yield Random()))
        if now + wait - began > PATIENCE_SECONDS:
            return answer
        yield Sleep(wait)
