"""Find a shard that has tasks to give, any of them.

A list with a limit shows everybody the same first shards, and workers that chose among these would meet there and take
claims from each other.  So while there are more open ones than a list shows, a worker draws the number of a shard of
the stage; mostly that is an open one, and costs less than a list.
"""

from __future__ import annotations

from typing import Final

from attr import frozen

from kubemr.coordination.job_view import JobView, Stage
from kubemr.coordination.stage_snapshot import open_shards
from kubemr.locks.conditional import Target, read
from kubemr.locks.effects import Op, Random
from kubemr.tasks.claims import repair_hint
from kubemr.tasks.shard import SHARDS, Shard

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
