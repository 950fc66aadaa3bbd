"""Which workers a job still needs in its tail: the others leave, and their place in the cluster is free.

A worker leaves when it is idle, nothing of the stage is pending, and its index is not below `workers_needed`.  That is
judged by each for itself, from what nobody has to tell it: its own index, and how many tasks are left.

- As many stay as tasks are left, twice: one for each and one for its backup, or in place of a holder that dies; and
  two more.  Holders stay as long as they hold, so mostly there are even more.
- Workers are needed again for the stages to come, which count like this one with all their tasks.
- The number never rises, since a committed task stays committed.  So who has left would not be called back.
- While anything is left it is above `SPARE`: the workers of the lowest indexes never leave.  So the Kubernetes Job,
  which starts no index anew that ended with 0, cannot have ended before the job has.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubemr.coordination.job_view import JobView, Stage
from kubemr.tasks.shard import Shard

SPARE = 2


def workers_needed(job: JobView, stage: Stage, shards: Iterable[Shard]) -> int:
    """Workers with an index below this number stay; `shards` are the unfinished ones of the stage that is on."""
    left = sum(not state.committed for shard in shards for state in shard.tasks.values())
    to_come = [each.total for each in job.stages[job.position(stage) + 1 :]]
    return 2 * max(left, *to_come, 0) + SPARE
