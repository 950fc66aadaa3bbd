"""The promises of docs/coordination.md, each with whether it is kept."""

from __future__ import annotations

from collections.abc import Iterable

from coordination.jobs import LASTING_SECONDS
from coordination.measured import COST, FROM_CREATION, KIB, LOST, PATCHES, Measured
from coordination.server import QUOTA

TIMES = {"Dask distributed": 8}
"""So many times a peer's rate our largest job has from its creation on, which is what the peers' clocks have, too."""
OTHERWISE = 10


def promises(measured: Measured) -> list[tuple[str, bool]]:
    """All of them."""
    largest = measured.largest
    share = 100 * max(ran.database for ran in measured.every_run) / QUOTA
    object_size = max(ran.largest for ran in measured.every_run) / KIB
    often = max(ran.all_of_it.job_patches - (ran.removed - ran.created) for ran in measured.every_run)
    cost, each = COST.median(largest), PATCHES.median(largest)
    found = [*_rates(measured), (f"at most 0.3 ms of server CPU per task: {cost:.3f}", cost <= 0.3)]
    if len(measured.runs) > 1:
        smaller = measured.runs[-2]
        growth = cost / COST.median(smaller)
        found.append((f"at most 1.15 times the cost at {smaller[0].tasks:,} tasks: {growth:.2f}", growth <= 1.15))
    for ran in measured.lasting:
        if ran.shards < ran.workers:
            continue  # Told and not promised: those who share a shard lose races, and each has few tasks.
        slow = PATCHES.of(ran)
        said = f"at most 1.1 patches per task of {LASTING_SECONDS:g} s, {ran.workers} workers on {ran.shards} shards"
        found.append((f"{said}: {slow:.3f}, and {LOST.of(ran):.3f} lost", slow <= 1.1))
    found += [
        (f"the job is patched at most 8 times, and once a second: {often:.0f} more than its seconds", often <= 8),
        (f"at most 0.1 patches per empty task: {each:.3f}", each <= 0.1),
        (f"no object above 256 KiB: {object_size:.1f}", object_size <= 256),
        (f"at most a tenth of etcd's default quota before compaction: {share:.2f} %", share <= 10),
    ]
    return found


def _rates(measured: Measured) -> Iterable[tuple[str, bool]]:
    """Against each peer at its quickest, where it was asked with several numbers of tasks."""
    for title in dict.fromkeys(peer.title for peer in measured.peers):
        quickest = max((peer for peer in measured.peers if peer.title == title), key=lambda peer: peer.rate)
        least = TIMES.get(title, OTHERWISE)
        ratio = FROM_CREATION.median(measured.largest) / quickest.rate
        said = f"at least {least} times the rate of {title} ({quickest.tasks:,}), from creation: {ratio:.1f}"
        yield said, ratio >= least
