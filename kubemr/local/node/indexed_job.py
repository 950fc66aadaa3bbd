"""Decide which indexes of an Indexed Kubernetes Job need a pod now, and whether the Job has ended.

No I/O and no clock.  As in Kubernetes, each index gets one pod until a pod succeeds.  A failed pod is replaced after a
back-off, and more than `backoffLimit` failures end the Job.  The back-off is short, since no other user shares this
machine.  `completions`, `parallelism` and `suspend` may change at any time.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field

from kubemr.locks.effects import Json

FIRST_POD_BACKOFF: Final = 0.05
LAST_POD_BACKOFF: Final = 1.0


@define
class IndexedJob:
    """One Kubernetes Job; times are seconds of the caller's monotonic clock."""

    document: Json
    active: dict[int, str] = field(factory=dict)
    """The name of the pod of each index that has one; disjoint from `succeeded` and from `due`."""
    succeeded: set[int] = field(factory=set)
    due: dict[int, float] = field(factory=dict)
    """The time at which an index without a pod may get one."""
    failures: dict[int, int] = field(factory=dict)
    """The number of failed pods of each index."""
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
        """The indexes whose pods must end without counting as failed: the highest, or all of a suspended Job."""
        wanted = [index for index in sorted(self.active) if index < self.completions][: self.parallelism]
        return sorted(self.active.keys() - wanted)

    def update(self, document: Json, now: float) -> None:
        """Take over a changed Job object."""
        self.document = document
        indexes = range(self.completions)
        self.succeeded.intersection_update(indexes)
        waiting = [index for index in indexes if index not in self.active and index not in self.succeeded]
        self.due = {index: self.due.get(index, now) for index in waiting}

    @property
    def failed(self) -> int:
        """The number of failed pods of all indexes."""
        return sum(self.failures.values())

    @property
    def exhausted(self) -> bool:
        """Whether more pods have failed than `backoffLimit` allows."""
        return self.failed > int(self.document["spec"].get("backoffLimit", 6))

    @property
    def complete(self) -> bool:
        """Whether every index has succeeded."""
        return len(self.succeeded) == self.completions

    @property
    def over(self) -> bool:
        """Whether the Job needs no pods any more."""
        return self.deleted or self.exhausted or self.complete

    def ready(self, now: float) -> list[int]:
        """Return the indexes that must get a pod now."""
        if self.over:
            return []
        return sorted(index for index, moment in self.due.items() if moment <= now)[: self._room]

    def next_due(self) -> float | None:
        """Return the time at which to call `ready` again without an event, or None."""
        return None if self.over or not self.due or not self._room else min(self.due.values())

    def pod_started(self, index: int, pod: str) -> None:
        """Record that a pod was created for the index."""
        del self.due[index]
        self.active[index] = pod

    def pod_ended(self, index: int, succeeded: bool, now: float, *, disrupted: bool = False) -> None:
        """Record that the pod of the index has ended.

        A deleted pod (`disrupted`) is replaced and does not count as failed.
        """
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
