"""Our rates beside others': by which of our clocks, and of how many tasks."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from coordination.jobrun import Ran
from coordination.measured import CLOCKS, Figure, Measured, Peer


@frozen
class Comparison:
    """Our rate by one clock in a job of one size, beside a peer's."""

    ours: Sequence[Ran]
    peer: Peer
    clock: Figure

    @property
    def ratio(self) -> float:
        """How many times the peer's our median is."""
        return self.clock.median(self.ours) / self.peer.rate

    @property
    def least(self) -> float | None:
        """So many times it is in every round; None where the peer was not asked in each."""
        if len(self.peer.rates) != len(self.ours):
            return None
        return min(self.clock.of(ran) / rate for ran, rate in zip(self.ours, self.peer.rates, strict=True))


def comparisons(measured: Measured, peer: Peer) -> list[Comparison]:
    """Our largest job by each clock, and where we have one the job of as many tasks as the peer's."""
    same = measured.of(peer.tasks)
    jobs = [measured.largest, *([same] if same is not None and same is not measured.largest else [])]
    return [Comparison(job, peer, clock) for job in jobs for clock in CLOCKS]
