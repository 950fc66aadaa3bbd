"""What an Indexed Kubernetes Job calls for: which of its indexes need a pod now, and whether it has ended.

No I/O and no clock.  As in Kubernetes: one pod per index until one of it succeeds, a failed one is followed by
another after a back-off, and more than `backoffLimit` failures end the Job.  The back-off is short, since
nobody else is waiting for this machine.  `completions`, `parallelism` and `suspend` may change at any time.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field

from kubemr.locks.effects import Json

FIRST_POD_BACKOFF: Final = 0.05
LAST_POD_BACKOFF: Final = 1.0


@define
class IndexedJob:
    """One Job; times are seconds of the caller's monotonic clock."""

    document: Json
    active: dict[int, str] = field(factory=dict)
    """The name of the pod of each index that has one; disjoint from `succeeded` and from `due`."""
    succeeded: set[int] = field(factory=set)
    due: dict[int, float] = field(factory=dict)
    """When an index without a pod may get one."""
    failures: dict[int, int] = field(factory=dict)
    """Failed pods of each index."""
    deleted: bool = False

    def __attrs_post_init__(self) -> None:
        self.due = dict.fromkeys(range(self.completions), 0.0)

    @property
    def completions(self) -> int:
        """How many indexes must succeed."""
        return int(self.document["spec"]["completions"])

    @property
    def parallelism(self) -> int:
        """How many pods there may be now."""
        spec = self.document["spec"]
        return 0 if spec.get("suspend") else int(spec.get("parallelism", 1))

    @property
    def surplus(self) -> list[int]:
        """The indexes whose pods are to end, which is no failure: the highest, all of them while it is suspended."""
        wanted = [index for index in sorted(self.active) if index < self.completions][: self.parallelism]
        return sorted(self.active.keys() - wanted)

    def update(self, document: Json, now: float) -> None:
        """Somebody has changed it."""
        self.document = document
        indexes = range(self.completions)
        self.succeeded.intersection_update(indexes)
        waiting = [index for index in indexes if index not in self.active and index not in self.succeeded]
        self.due = {index: self.due.get(index, now) for index in waiting}

    @property
    def failed(self) -> int:
        """Failed pods in all."""
        return sum(self.failures.values())

    @property
    def exhausted(self) -> bool:
        """More pods have failed than may."""
        return self.failed > int(self.document["spec"].get("backoffLimit", 6))

    @property
    def complete(self) -> bool:
        """Every index has succeeded."""
        return len(self.succeeded) == self.completions

    @property
    def over(self) -> bool:
        """It needs no pods any more."""
        return self.deleted or self.exhausted or self.complete

    def ready(self, now: float) -> list[int]:
        """The indexes that are to get a pod now."""
        if self.over:
            return []
        return sorted(index for index, moment in self.due.items() if moment <= now)[: self._room]

    def next_due(self) -> float | None:
        """When to look again without an event."""
        return None if self.over or not self.due or not self._room else min(self.due.values())

    def pod_started(self, index: int, pod: str) -> None:
        """A pod was created for the index."""
        del self.due[index]
        self.active[index] = pod

    def pod_ended(self, index: int, succeeded: bool, now: float, *, disrupted: bool = False) -> None:
        """The index's pod has ended.  One that somebody deleted (`disrupted`) is replaced and not counted."""
        del self.active[index]
        if index >= self.completions:
            return
        if succeeded:
            self.succeeded.add(index)
            return
        if not disrupted:
            self.failures[index] = self.failures.get(index, 0) + 1
        count = self.failures.get(index, 0)
        self.due[index] = now + min(LAST_POD_BACKOFF, FIRST_POD_BACKOFF * 2 ** max(count - 1, 0))

    @property
    def _room(self) -> int:
        return max(self.parallelism - len(self.active), 0)
