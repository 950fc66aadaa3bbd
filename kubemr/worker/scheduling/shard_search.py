"""Which shard a worker works on next: an untouched one of its part of the stage, or any open shard.

A list with a limit returns the same first shards to all workers, and workers that choose among these compete for the
same tasks.
So while more shards are open than a list returns, a worker reads a shard of the stage at random.
Usually that shard is open, and one read costs less than a list.
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

LISTED_SHARDS: Final = 16
"""How many open shards a list returns."""
RANDOM_READS: Final = 4
"""How many shards to read at random before listing again."""


@frozen
class OpenShard:
    """A shard with pending tasks; or None, if no shard was open at `resource_version`.

    `more_open` is True if more shards may be open than a list returns.
    """

    shard: Shard | None
    resource_version: str
    more_open: bool


def untouched_shard(job: JobView, stage: Stage, number: int, claim: int) -> Shard | None:
    """Return the shard as it was deployed, if a claim of `claim` tasks takes all of it; else None.

    A worker of quick tasks claims whole shards of its part, which usually no other worker has touched.
    So it need not read them first: the claim tests the whole state, and the worker reads the shard only if that fails.

    None also for a shard of a retry, which may have been deployed with committed tasks, and where several workers begin
    with the shard.
    """
    tasks = shard_tasks(stage, number)
    if job.run > 1 or claim < len(tasks) or len(tasks) < 2 or job.shares(stage):
        return None
    states = dict.fromkeys(tasks, TaskState("pending", 1))
    return Shard(job.namespace, job.shard_name(stage, number), states, "open", collapsed=True)


def find_open_shard(job: JobView, stage: Stage, *, more_open: bool) -> Op[OpenShard]:
    """Find a shard with pending tasks; `more_open` is that of the last result."""
    for _ in range(RANDOM_READS if more_open else 0):
        number = int((yield Random()) * stage.shards)
        document = yield from read(Target(SHARDS, job.namespace, job.shard_name(stage, number)))
        if document is not None and (shard := Shard.parse(document)).pending:
            return OpenShard(shard, "", more_open)
    sample = yield from open_shards(job, stage, LISTED_SHARDS)
    candidates = [shard for shard in sample.shards if shard.pending]
    for shard in sample.shards:
        if not shard.pending:
            yield from repair_hint(shard)
    more_open = len(sample.shards) == LISTED_SHARDS
    if not candidates:
        return OpenShard(None, sample.resource_version, more_open)
    uniform: float = yield Random()
    return OpenShard(candidates[int(uniform * len(candidates))], sample.resource_version, more_open)
