"""A shard as it was deployed, for a worker that takes all of it without a look at it first.

A worker of quick tasks takes one after another of its own shards whole, and nobody else has been there before.
So it need not read what it knows: its claim tests the whole, and where that fails, somebody has, and it is read then.
"""

from __future__ import annotations

from kubemr.coordination.job_view import JobView, Stage, shard_tasks
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import TaskState


def untouched_shard(job: JobView, stage: Stage, number: int, claim: int) -> Shard | None:
    """The stage's shard of that number, if a claim of so many tasks takes all of it; else None.

    None, too, where it is a retry's, which may have been deployed with tasks that are done, or where several workers
    begin with it.
    """
    tasks = shard_tasks(stage, number)
    if job.run > 1 or claim < len(tasks) or len(tasks) < 2 or job.shares(stage):
        return None
    states = dict.fromkeys(tasks, TaskState("pending", 1))
    return Shard(job.namespace, job.shard_name(stage, number), states, "open", collapsed=True)
