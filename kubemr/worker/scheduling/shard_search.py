"""Which shard a worker goes to next: an untouched one of its own part, or any open one of the stage.

A list with a limit returns the same first shards to all workers, and workers that choose among these compete for the
same tasks.  So while more shards are open than a list returns, a worker reads a shard of the stage at random: usually
that one is open, and one read costs less than a list.
"""

from __future__ import annotations

from typing import Final

from attr import frozen

from kubemr.coordination.job_view import JobView, Stage, shard_tasks
from kubemr.coordination.stage_snapshot import open_shards
from kubemr.locks.conditional import Target, read
from kubemr.locks.effects import Op, Random
from kubemr.tasks.claims import repair_hint
from kubemr.tasks.shard import SHARDS, Shard
from kubemr.tasks.state import TaskState

SAMPLE: Final = 16
"""Open shards that are listed."""
DRAWS: Final = 4
"""Shards that are drawn before a list is asked for again."""


@frozen
class OpenShard:
    """A shard with pending tasks, or None: then no shard was open at `resource_version`.  `many`: there may be more."""

    shard: Shard | None
    resource_version: str
    more_open: bool


def untouched_shard(job: JobView, stage: Stage, number: int, claim: int) -> Shard | None:
    """Return the shard as it was deployed, if a claim of `claim` tasks takes all of it; else None.

    A worker of quick tasks claims one after another of its own shards whole, and usually no other worker has touched
    them.  So it need not read them first: the claim tests the whole state, and only if it fails the worker reads.

    None also for a shard of a retry, which may have been deployed with committed tasks, and where several workers begin
    with the shard.
    """
    tasks = shard_tasks(stage, number)
    if job.run > 1 or claim < len(tasks) or len(tasks) < 2 or job.shares(stage):
        return None
    states = dict.fromkeys(tasks, TaskState("pending", 1))
    return Shard(job.namespace, job.shard_name(stage, number), states, "open", collapsed=True)


def find_open_shard(job: JobView, stage: Stage, *, more_open: bool) -> Op[OpenShard]:
    """A shard to work on; `many` as the last one found said."""
    for _ in range(DRAWS if more_open else 0):
        number = int((yield Random()) * stage.shards)
        document = yield from read(Target(SHARDS, job.namespace, job.shard_name(stage, number)))
        if document is not None and (drawn := Shard.parse(document)).pending:
            return OpenShard(drawn, "", more_open)
    sample = yield from open_shards(job, stage, SAMPLE)
    candidates = [shard for shard in sample.shards if shard.pending]
    for shard in sample.shards:
        if not shard.pending:
            yield from repair_hint(shard)
    more_open = len(sample.shards) == SAMPLE
    if not candidates:
        return OpenShard(None, sample.resource_version, more_open)
    draw: float = yield Random()
    return OpenShard(candidates[int(draw * len(candidates))], sample.resource_version, more_open)
