"""Record the attempts that were lost with their workers.

The process that reclaims a task from a dead holder writes the attempt's `lost.json`.
It contains when the loss was found and, if the process had seen the attempt run before, since when it ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from datetime import datetime, timedelta

from attr import frozen

from kubemr.coordination import names
from kubemr.coordination.advance import Dependencies
from kubemr.coordination.attempt_records import LOST, AttemptError, write_best_effort
from kubemr.coordination.first_seen import FirstSeen
from kubemr.coordination.job_view import JobView, Stage
from kubemr.locks.effects import Do, Now, Op
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import Token, attempt_of

MESSAGE = "its worker died while it ran: it was killed, ran out of memory, or its node was lost"


@frozen
class Loss:
    """One lost attempt: task, epoch and holder, and since when the observer had seen it run, or None.

    `since` is a time of the observer's monotonic clock.
    """

    number: int
    epoch: int
    token: Token
    since: float | None = None


def lost_attempts(before: Shard, after: Shard, dead: Set[Token], first_seen: FirstSeen | None = None) -> Iterator[Loss]:
    """Yield the attempts of the tokens `dead` that were lost between the reads `before` and `after` of a shard.

    `first_seen` holds the attempts that the observer had seen before.
    """
    for number, state in before.tasks.items():
        now = after.tasks.get(number)
        if state.name == "running" and now is not None and now.losses > state.losses:
            for token in state.holders:
                if token in dead and not now.held_by(token):
                    since = None if first_seen is None else first_seen.since(before, number, state.epoch, token)
                    yield Loss(number, state.epoch, token, since)


def write_lost_records(
    job: JobView, stage: Stage, losses: Sequence[Loss], dependencies: Dependencies, warn: Callable[..., object]
) -> Op[None]:
    """Write the `lost.json` of these attempts: when the loss was found, and an upper bound of their start."""
    now: float = yield Now()
    end: str = yield Do(dependencies.now_string, "wall clock")
    for loss in losses:
        attempt = attempt_of(loss.epoch, loss.token)
        prefix = names.attempt_prefix(job.storage_prefix, stage.step, stage.name, loss.number, attempt)
        start = "" if loss.since is None else _earlier(end, now - loss.since)
        error = AttemptError(MESSAGE, loss.token, start, end, run=job.run).encode()
        written = yield from write_best_effort(dependencies.store, prefix + LOST, error, warn)
        if not written:
            return  # A store that cannot be reached takes long to fail, and the caller has other work.


def _earlier(moment: str, seconds: float) -> str:
    """Return the time that is `seconds`, rounded down, before `moment`, both in RFC 3339."""
    return (datetime.fromisoformat(moment) - timedelta(seconds=int(seconds))).strftime("%Y-%m-%dT%H:%M:%SZ")
