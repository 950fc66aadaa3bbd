"""What was measured: our jobs, others' rates, and what is told of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from coordination.first_design import OneObject
from coordination.jobrun import Ran
from figures import percentile

KIB, MB = 1024, 1e6


@frozen
class Peer:
    """Another's rates, tasks per second, one for each round; or one, where it was asked once."""

    title: str
    clock: str
    """From when to when its seconds are."""
    tasks: int
    rates: Sequence[float]

    @property
    def rate(self) -> float:
        """The median."""
        return statistics.median(self.rates)


@frozen
class Figure:
    """One thing that is measured of each of our jobs."""

    name: str
    unit: str
    of: Callable[[Ran], float]

    def median(self, runs: Sequence[Ran]) -> float:
        """Of the rounds."""
        return statistics.median(map(self.of, runs))


@frozen
class Measured:
    """All of it."""

    runs: Sequence[Sequence[Ran]]
    """Of empty tasks, by size, and of each size one for each round."""
    peers: Sequence[Peer]
    one: Sequence[OneObject]
    """All tasks in one object, one for each round."""
    lasting: Sequence[Ran]
    sized: Mapping[int, Ran]
    """By the size of their shards."""

    @property
    def largest(self) -> Sequence[Ran]:
        """Our largest job."""
        return self.runs[-1]

    def of(self, tasks: int) -> Sequence[Ran] | None:
        """Our job of so many tasks."""
        return next((same for same in self.runs if same[0].tasks == tasks), None)

    @property
    def one_cost(self) -> float:
        """Milliseconds of the servers' CPU for a task of the first design."""
        return statistics.median(1000 * each.cpu / each.done for each in self.one)

    @property
    def every_run(self) -> list[Ran]:
        """Those of empty tasks, those that last and those of other sizes of shards."""
        return [*(ran for same in self.runs for ran in same), *self.lasting, *self.sized.values()]


def _claim(share: float) -> Callable[[Ran], float]:
    return lambda ran: 1000 * percentile(ran.claims, share)


RATE = Figure("rate", "tasks/s", lambda ran: ran.rate)
FROM_CREATION = Figure("rate from creation", "tasks/s", lambda ran: ran.rate_created)
WITH_REMOVAL = Figure("rate with removal", "tasks/s", lambda ran: ran.rate_removed)
CLOCKS = (RATE, FROM_CREATION, WITH_REMOVAL)
"""Ours: from the start of the workers' processes to COMPLETE; from the job's creation; and to its last child's end."""
COST = Figure("server CPU per task", "ms", lambda ran: 1000 * ran.all_of_it.cpu / ran.tasks)
PATCHES = Figure("patches per task", "patches", lambda ran: ran.all_of_it.shard_patches / ran.tasks)
LOST = Figure("lost patches per task", "patches", lambda ran: ran.all_of_it.lost / ran.tasks)
FIGURES = (
    *CLOCKS,
    Figure("deployed after", "s", lambda ran: ran.deployed - ran.created),
    Figure("removed after", "s", lambda ran: ran.removed - ran.over),
    COST,
    Figure("worker CPU per task", "ms", lambda ran: 1000 * (ran.worker_cpu + ran.child_cpu) / ran.tasks),
    Figure("operator CPU per task", "ms", lambda ran: 1000 * ran.operator_cpu / ran.tasks),
    PATCHES,
    Figure("lost races", "patches", lambda ran: ran.all_of_it.lost),
    Figure("patches of the job object", "patches", lambda ran: ran.all_of_it.job_patches),
    Figure("claim, p50", "ms", _claim(0.5)),
    Figure("claim, p99", "ms", _claim(0.99)),
    Figure("bytes written to etcd per task", "bytes", lambda ran: ran.all_of_it.wal / ran.tasks),
    Figure("written to etcd", "MB", lambda ran: ran.all_of_it.wal / MB),
    Figure("etcd's file, nothing compacted", "MB", lambda ran: ran.database / MB),
    Figure("largest object", "KiB", lambda ran: ran.largest / KIB),
    Figure("worker memory", "MiB", lambda ran: ran.worker_memory / KIB**2),
    Figure("operator memory", "MiB", lambda ran: ran.operator_memory / KIB**2),
)
