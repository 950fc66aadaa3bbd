"""Drive an operation inside another one, and pass each of its effects through a function.

Wrappers of operations are built on `intercept`: a deadline (`kubemr.locks.deadline`), a worker's retries of denied
requests, and its watchdog.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kubemr.locks.effects import Effect, Op

T = TypeVar("T")


def intercept(op: Op[T], around: Callable[[Effect], Op[Any] | None]) -> Op[T]:
    """Run `op`, with `around(effect)` in the place of each of its effects.

    `around` returns an operation, or None for the effect itself, unchanged.
    What that operation returns is the answer that `op` receives.
    What it raises is raised inside `op`, and so is what the driver throws into it, such as `StoppedError`.

    `around` may end `op` early by `op.close()`.
    `op` then receives no answer, and the result is None.
    """
    try:
        effect = next(op)
        while True:
            try:
                replacement = around(effect)
                answer: Any = (yield effect) if replacement is None else (yield from replacement)
            except BaseException as thrown:
                effect = op.throw(thrown)
            else:
                effect = op.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        op.close()
