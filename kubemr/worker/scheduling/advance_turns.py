"""Who moves the job on, of all that notice that it can be: one is enough, and it may be much work.

To seal a stage takes a look at all of its shards; to finish the job, a read of every result.  Whose own work has led to
it begins at once.  The others, who find nothing left, wait for a turn of their own
(`kubemr.worker.scheduling.contention.turn`), and by then it is mostly done:
the next stage's shards wake them, or the job has no use for them any more.
Should all that came before have died over it, they take it up.

The turns go by the workers' indexes: the lowest never leave, and are the first that a cluster too small for all runs.
"""

from __future__ import annotations

from attr import define, field

from kubemr.locks.effects import Now, Op
from kubemr.worker.scheduling.contention import advance_delay


@define
class AdvanceSchedule:
    """Of the worker with this index; a stage is named by its key.  Times in seconds of its monotonic clock."""

    index: int
    worked: bool = False
    """It has run tasks since its last look at what is left."""
    _of: dict[str, float] = field(factory=dict, init=False)

    def wait(self, stage: str) -> Op[float]:
        """How long it is until this worker's turn to move the job on from `stage`, which the first call decides."""
        now: float = yield Now()
        if self.worked:
            self._of[stage] = now
        elif stage not in self._of:
            self._of[stage] = now + advance_delay(self.index)
        return max(0.0, self._of[stage] - now)
