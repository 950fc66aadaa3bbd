"""Tell people which attempts were lost with their workers, which cannot say it themselves.

Whoever takes a task away from a dead holder leaves `lost.json` in the attempt's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set

from kubemr.coordination import names
from kubemr.coordination.advance import Means
from kubemr.coordination.job import JobView, Stage
from kubemr.coordination.records import LOST, AttemptError, keep
from kubemr.locks.request import Do, Op
from kubemr.locks.shard import Shard
from kubemr.locks.taskstate import Token, attempt_of

MESSAGE = "its worker died while it ran: it was killed, ran out of memory, or its node was lost"


def lost(before: Shard, after: Shard, dead: Set[Token]) -> Iterator[tuple[int, int, Token]]:
    """Task, epoch and holder of the attempts that `dead` lost from `before` to `after`."""
    for number, state in before.tasks.items():
        now = after.tasks.get(number)
        if state.name == "running" and now is not None and now.losses > state.losses:
            for token in state.holders:
                if token in dead and not now.held_by(token):
                    yield number, state.epoch, token


def record(
    job: JobView, stage: Stage, attempts: Sequence[tuple[int, int, Token]], means: Means, warn: Callable[..., object]
) -> Op[None]:
    """Write that these attempts were lost, and when that was found."""
    now: str = yield Do(means.stamp, "wall clock")
    for number, epoch, token in attempts:
        prefix = names.attempt_prefix(job.storage_prefix, stage.step, stage.name, number, attempt_of(epoch, token))
        error = AttemptError(MESSAGE, token, end=now, run=job.run).encode()
        kept = yield from keep(means.store, prefix + LOST, error, warn)
        if not kept:
            return  # A store that is away takes long to say so, and there is work to do.
