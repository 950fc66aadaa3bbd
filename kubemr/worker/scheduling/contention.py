"""How workers keep out of each other's way, and the apiserver's, when there are a thousand of them.

Each worker knows one number, the job's `replicas`, and from it follows how much of what all may do together is
its own part.  Up to some tens of workers nothing here changes anything.

=====================  ====================================================  ======================
what                   all workers of a job together                         of 1,000 workers, each
=====================  ====================================================  ======================
looks when idle        `LOOKS_PER_SECOND`                                    every 50 s
waking for one event   `WAKES_PER_SECOND`                                    within 5 s
eyes on one holder     about `WATCHERS` of those who are idle                seldom has one to watch
what one is enough for few at a time: `turn`                                 one every second, at last
=====================  ====================================================  ======================
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from kubemr.coordination.job_view import JobView, Stage
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import Token

LOOKS_PER_SECOND: Final = 20.0
WAKES_PER_SECOND: Final = 200.0
FEW_WORKERS: Final = 50
"""So many may all do the same thing at the same moment."""
WATCHERS: Final = 4.0
SPARSE: Final = 8
"""The index from which on one more worker each second has its turn."""
WATCHED_HOLDERS: Final = 16
"""The most holders that one idle worker keeps an eye on."""


def idle_poll_interval(replicas: int) -> float:
    """Seconds from one look of an idle worker at the job to its next, on average."""
    return replicas / LOOKS_PER_SECOND


def jitter_window(replicas: int) -> float:
    """Within so many seconds, evenly drawn, workers act on what all of them have noticed."""
    return max(0, replicas - FEW_WORKERS) / WAKES_PER_SECOND


def leases_to_watch(observer: Token, epoch: int, holders: Iterable[Token], replicas: int) -> list[Token]:
    """The holders that this observer keeps an eye on during this epoch of its own.

    Of n idle workers each watches each holder with the chance WATCHERS/n, so that about so many watch it, however
    large n is.  By chance nobody may (e**-4, about 2 %), or too many holders may be alive for all to be watched: the
    next epoch has other watchers.  Within an epoch they stay the same, as an observation must not have gaps.
    """
    suspects = set(holders)
    chance = WATCHERS / max(1, replicas - len(suspects))
    ranked = sorted((rank, token) for token in suspects if (rank := _rank(observer, epoch, token)) < chance)
    return [token for _, token in ranked[:WATCHED_HOLDERS]]


def _rank(observer: Token, epoch: int, token: Token) -> float:
    """An even draw from [0, 1), the same whenever it is asked for."""
    digest = hashlib.sha256(f"{observer} {epoch} {token}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2.0**48


def advance_delay(index: int) -> float:
    """Seconds until the worker with this index does what one is enough for, unless it is done by then.

    After t seconds about sqrt(t) of them have had their turn, and from `SPARSE` of them on one more each second: what
    takes a second is done twice at most, what takes minutes some ten times; and whoever is left gets there.
    """
    return float(index**2 if index < SPARSE else SPARSE**2 + index - SPARSE)


def initial_shards(index: int, replicas: int, shards: int) -> range:
    """The numbers of the shards that worker `index` begins with.

    Where there are more workers than shards, several begin with the same one.
    """
    workers = max(replicas, 1)
    position = index % workers
    first = position * shards // workers
    return range(first, max((position + 1) * shards // workers, min(first + 1, shards)))


def workers_per_shard(replicas: int, shards: int) -> int:
    """How many workers there are to a shard, where they are more than shards; else 1."""
    return max(1, -(-replicas // max(shards, 1)))


def claim_quota(job: JobView, stage: Stage, shard: Shard) -> int:
    """One worker's part of a shard's pending tasks, where several workers have one shard between them."""
    return max(1, -(-len(shard.pending) // workers_per_shard(job.replicas, stage.shards)))


def claim_offset(index: int, job: JobView, stage: Stage) -> float:
    """From where in a shard worker `index` claims, from 0 to 1: who share one begin at different tasks."""
    number = workers_per_shard(job.replicas, stage.shards)
    return index % number / number
