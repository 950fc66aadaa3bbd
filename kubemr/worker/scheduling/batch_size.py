"""How many tasks to claim at once: as many as take about a second.

The first claim is one task.
Then the size follows the measured time of the tasks, and grows at most fourfold from one batch to the next.
So a worker does not hoard after one quick task among slow ones.
"""

from __future__ import annotations

from attr import define

from kubemr.tasks.shard import LARGEST_SHARD

TARGET_SECONDS = 1.0
MAX_GROWTH = 4


@define
class BatchSizer:
    """Chooses `size`, the number of tasks for the next claim."""

    size: int = 1

    def observe(self, tasks: int, seconds: float) -> None:
        """Adapt the size after a batch of `tasks` tasks that took `seconds`."""
        if tasks == 0:
            return
        fitting = LARGEST_SHARD if seconds <= 0 else int(TARGET_SECONDS * tasks / seconds)
        self.size = max(1, min(fitting, self.size * MAX_GROWTH, LARGEST_SHARD))

    def reset(self) -> None:
        """Begin with one task again, because the next tasks are of another stage and their time is unknown."""
        self.size = 1
