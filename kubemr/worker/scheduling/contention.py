"""How a thousand workers avoid contention with each other, and a thundering herd at the apiserver.

Each worker knows one number, the job's `replicas`.
From it follows this worker's part of the rate that all workers may use together.
Up to some tens of workers, none of this makes a noticeable difference.

================================  ==============================================  =================================
what                              all workers of a job together                   each of 1,000 workers
================================  ==============================================  =================================
an idle worker polls the job      `POLLS_PER_SECOND`                              every 50 s
workers wake up at one event      `WAKEUPS_PER_SECOND`                            within 5 s
idle workers watch one holder     about `WATCHERS_PER_HOLDER` of them             rarely has a holder to watch
one worker advances the job       few at a time, by staggered delay               one more each second in the end
================================  ==============================================  =================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from attr import define, field

from kubemr.coordination.job_view import JobView, Stage
from kubemr.locks.effects import Now, Op
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import Token

POLLS_PER_SECOND: Final = 20.0
WAKEUPS_PER_SECOND: Final = 200.0
FEW_WORKERS: Final = 50
"""Up to this number of workers may do the same thing at the same moment."""
WATCHERS_PER_HOLDER: Final = 4.0
QUADRATIC_DELAYS: Final = 8
"""The delay of `advance_delay` grows with the square of the index below this index, and by one second per index above
it."""
MAX_WATCHED_HOLDERS: Final = 16
"""The highest number of holders that one idle worker watches."""


def idle_poll_interval(replicas: int) -> float:
    """Return the average seconds between two polls of the job by an idle worker."""
    return replicas / POLLS_PER_SECOND


def jitter_window(replicas: int) -> float:
    """Return the seconds within which workers, evenly distributed, react to an event that all of them received."""
    return max(0, replicas - FEW_WORKERS) / WAKEUPS_PER_SECOND


def leases_to_watch(observer: Token, epoch: int, holders: Iterable[Token], replicas: int) -> list[Token]:
    """Return the holders whose Leases this observer watches during this epoch, which is the observer's own count.

    Each of n idle workers watches each holder with the probability `WATCHERS_PER_HOLDER` / n.
    So about `WATCHERS_PER_HOLDER` workers watch a holder, however large n is.
    By chance a holder may have no watcher (e**-4, about 2 %), or an observer more holders than it may watch.
    Both change in the next epoch, which has other watchers.
    Within an epoch the watchers stay the same, because an observation must not have gaps.
    """
    tokens = set(holders)
    probability = WATCHERS_PER_HOLDER / max(1, replicas - len(tokens))
    ranked = sorted((rank, token) for token in tokens if (rank := _rank(observer, epoch, token)) < probability)
    return [token for _, token in ranked[:MAX_WATCHED_HOLDERS]]


def _rank(observer: Token, epoch: int, token: Token) -> float:
    """Return a number from [0, 1), evenly distributed, and the same for the same arguments."""
    digest = hashlib.sha256(f"{observer} {epoch} {token}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2.0**48


def advance_delay(index: int) -> float:
    """Return the seconds after which the worker with this index advances the job, unless it has been advanced by then.

    After t seconds the delays of about sqrt(t) workers are over, and from `QUADRATIC_DELAYS` workers on of one more
    each second.
    So two workers at most do what takes a second, and about ten do what takes minutes.
    The delay of every worker ends, so the job advances as long as one worker is alive.
    """
    if index < QUADRATIC_DELAYS:
        return float(index**2)
    return float(QUADRATIC_DELAYS**2 + index - QUADRATIC_DELAYS)


@define
class AdvanceSchedule:
    """When the worker with this index advances the job, of all workers that notice that it can be advanced.

    One worker is enough, and the work may be large: sealing a stage reads all its shards, finishing a job all results.
    The worker whose own work completed the stage advances it immediately.
    The other idle workers wait for a staggered delay, `advance_delay`.
    Usually the stage has been advanced by then: the next stage's shards wake them, or the job has ended.
    If all workers with shorter delays have died, the next one advances the stage.

    The delays depend on the index, because the workers with the lowest indexes never scale down.
    They are also the first that a cluster runs which is too small for all workers.

    Times are in seconds of the worker's monotonic clock.
    """

    index: int
    worked: bool = False
    """True if this worker has run tasks since it last checked what is left."""
    _due_at: dict[str, float] = field(factory=dict, init=False)
    """When this worker may advance a stage, by the stage's key."""

    def remaining_delay(self, stage: str) -> Op[float]:
        """Return the seconds until this worker may advance the job from `stage`; the first call sets the time."""
        now: float = yield Now()
        if self.worked:
            self._due_at[stage] = now
        elif stage not in self._due_at:
            self._due_at[stage] = now + advance_delay(self.index)
        return max(0.0, self._due_at[stage] - now)


def initial_shards(index: int, replicas: int, shards: int) -> range:
    """Return the numbers of the shards that worker `index` begins with.

    If there are more workers than shards, several workers begin with the same shard.
    """
    workers = max(replicas, 1)
    position = index % workers
    first = position * shards // workers
    return range(first, max((position + 1) * shards // workers, min(first + 1, shards)))


def workers_per_shard(replicas: int, shards: int) -> int:
    """Return the number of workers per shard if there are more workers than shards; else 1."""
    return max(1, -(-replicas // max(shards, 1)))


def claim_quota(job: JobView, stage: Stage, shard: Shard) -> int:
    """Return how many of a shard's pending tasks one worker may claim, if several workers share the shard."""
    return max(1, -(-len(shard.pending) // workers_per_shard(job.replicas, stage.shards)))


def claim_offset(index: int, job: JobView, stage: Stage) -> float:
    """Return where in a shard worker `index` begins to claim, from 0 to 1: workers that share a shard begin apart."""
    number = workers_per_shard(job.replicas, stage.shards)
    return index % number / number
