"""How many tasks to claim at once: as many as take about a second.

The first claim is one task.  The batch then grows by what tasks were seen to take, at most fourfold from
one batch to the next, so that one quick task among slow ones does not make a worker hoard.
"""

from __future__ import annotations

from attr import define

from kubemr.tasks.shard import LARGEST_SHARD

BATCH_SECONDS = 1.0
GROWTH = 4


@define
class BatchSizer:
    """`size` is the number of tasks for the next claim."""

    size: int = 1

    def observe(self, tasks: int, seconds: float) -> None:
        """A batch of `tasks` took `seconds`."""
        if tasks == 0:
            return
        fitting = LARGEST_SHARD if seconds <= 0 else int(BATCH_SECONDS * tasks / seconds)
        self.size = max(1, min(fitting, self.size * GROWTH, LARGEST_SHARD))

    def restart(self) -> None:
        """The tasks to come are of another kind: how long they take is not known."""
        self.size = 1
