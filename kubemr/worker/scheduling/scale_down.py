"""How many workers a job still needs in the tail of a stage; the other workers scale down, which frees resources.

A worker scales down if it is idle, no task of the stage is pending, and its index is not below `workers_needed`.
Each worker decides that by itself, from its index and the number of uncommitted tasks.

- Two workers per uncommitted task stay, and two more.
  For each task that is the holder, and one for its backup or in place of a holder that dies.
  Holders stay as long as they hold a task, so usually there are even more.
- Later stages need workers again, so all their tasks count like those of this stage.
- The number never rises, because a committed task stays committed.
  So a worker that has scaled down is never missed later.
- While a task is uncommitted, the number is above `SPARE_WORKERS`.
  So the workers with the lowest indexes never scale down, and the Kubernetes Job cannot complete before the job has.
  (It does not restart an index that exited with 0.)
"""

from __future__ import annotations

from collections.abc import Iterable

from kubemr.coordination.job_view import JobView, Stage
from kubemr.tasks.shard import Shard

SPARE_WORKERS = 2


def workers_needed(job: JobView, stage: Stage, shards: Iterable[Shard]) -> int:
    """Return the number of indexes whose workers stay; `shards` are the unfinished ones of the current stage."""
    uncommitted = sum(not state.committed for shard in shards for state in shard.tasks.values())
    later_stages = [each.total for each in job.stages[job.position(stage) + 1 :]]
    return 2 * max(uncommitted, *later_stages, 0) + SPARE_WORKERS
