"""Sit out that an apiserver denies what it will allow in a moment.

Rights are granted a moment after a pod has started; and an apiserver that has just been started answers requests before
it has read who may do what: 403, or 401 for a service account's token.  So a denial is believed only when it has lasted
for `PATIENCE_SECONDS`; rights that were really taken away end the worker that much later.
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
    """The same operation, with denied requests sent again: a denied request was not carried out.

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
