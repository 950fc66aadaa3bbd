"""What the runs say: the table that is printed, the results that are written, the promises that are kept or not."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from coordination.first_design import OneObject
from coordination.jobrun import Ran
from coordination.server import QUOTA
from figures import percentile, shown

KIB, MB = 1024, 1e6


@frozen
class Peer:
    """Another scheduler's rate."""

    title: str
    tasks: int
    rate: float


@frozen
class Figure:
    """One thing that is measured of each of our jobs."""

    name: str
    unit: str
    of: Callable[[Ran], float]


def _percentile(ran: Ran, share: float) -> float:
    """Milliseconds."""
    return 1000 * percentile(ran.claims, share)


FIGURES = (
    Figure("rate", "tasks/s", lambda ran: ran.rate),
    Figure("deployed after", "s", lambda ran: ran.deploy),
    Figure("removed after", "s", lambda ran: ran.clean),
    Figure("server CPU per task", "ms", lambda ran: 1000 * ran.all_of_it.cpu / ran.tasks),
    Figure("worker CPU per task", "ms", lambda ran: 1000 * (ran.worker_cpu + ran.child_cpu) / ran.tasks),
    Figure("operator CPU per task", "ms", lambda ran: 1000 * ran.operator_cpu / ran.tasks),
    Figure("patches per task", "patches", lambda ran: ran.all_of_it.shard_patches / ran.tasks),
    Figure("lost races", "patches", lambda ran: ran.all_of_it.lost),
    Figure("patches of the job object", "patches", lambda ran: ran.all_of_it.job_patches),
    Figure("claim, p50", "ms", lambda ran: _percentile(ran, 0.5)),
    Figure("claim, p99", "ms", lambda ran: _percentile(ran, 0.99)),
    Figure("bytes written to etcd per task", "bytes", lambda ran: ran.all_of_it.wal / ran.tasks),
    Figure("written to etcd", "MB", lambda ran: ran.all_of_it.wal / MB),
    Figure("etcd's file, nothing compacted", "MB", lambda ran: ran.database / MB),
    Figure("largest object", "KiB", lambda ran: ran.largest / KIB),
    Figure("worker memory", "MiB", lambda ran: ran.worker_memory / KIB**2),
    Figure("operator memory", "MiB", lambda ran: ran.operator_memory / KIB**2),
)
LEAST = {"Dask distributed": 8}
"""So many times a peer's rate are promised; ten times that of the others."""
COST = FIGURES[3]
RATE = FIGURES[0]
PATCHES = next(figure for figure in FIGURES if figure.name == "patches per task")


def median(figure: Figure, runs: Sequence[Ran]) -> float:
    """Of the rounds."""
    return statistics.median(figure.of(ran) for ran in runs)


def results(
    runs: Sequence[Sequence[Ran]], long: Ran, one: OneObject, peers: Sequence[Peer], sized: Mapping[int, Ran]
) -> list[dict[str, Any]]:
    """As they are written: `name`, `value`, `unit`, and of a peer `peer`, `peer_value`, `ratio`."""
    found: list[dict[str, Any]] = []
    for same in runs:
        for figure in FIGURES:
            value = median(figure, same)
            found.append(
                {"name": figure.name, "tasks": same[0].tasks, "value": float(f"{value:.4g}"), "unit": figure.unit}
            )
    for size, ran in sized.items():
        for figure in (RATE, COST, PATCHES):
            name = f"{figure.name}, shards of {size}"
            value = float(f"{figure.of(ran):.4g}")
            found.append({"name": name, "tasks": ran.tasks, "value": value, "unit": figure.unit})
    largest = runs[-1]
    rate = median(RATE, largest)
    for peer in peers:
        found.append(
            {
                "name": f"rate against {peer.title}",
                "tasks": largest[0].tasks,
                "value": round(rate, 1),
                "unit": "tasks/s",
                "peer": f"{peer.title}, {peer.tasks} tasks",
                "peer_value": round(peer.rate, 1),
                "ratio": round(rate / peer.rate, 2),
            }
        )
    alone = one.done / one.seconds
    found += [
        {
            "name": "rate against all tasks in one object",
            "tasks": one.tasks,
            "value": round(median(RATE, runs[0]), 1),
            "unit": "tasks/s",
            "peer": f"all of {one.tasks} tasks in one object",
            "peer_value": round(alone, 1),
            "ratio": round(median(RATE, runs[0]) / alone, 2),
        },
        {
            "name": "server CPU per task against all tasks in one object",
            "tasks": one.tasks,
            "value": round(median(COST, runs[0]), 3),
            "unit": "ms",
            "peer": f"all of {one.tasks} tasks in one object",
            "peer_value": round(1000 * one.cpu / one.done, 1),
            "ratio": round(median(COST, runs[0]) / (1000 * one.cpu / one.done), 4),
        },
        {
            "name": "patches per task of 2 s",
            "tasks": long.tasks,
            "value": round(PATCHES.of(long), 3),
            "unit": "patches",
        },
    ]
    return found


def table(runs: Sequence[Sequence[Ran]], one: OneObject, peers: Sequence[Peer], sized: Mapping[int, Ran]) -> str:
    """For people; in Markdown, as docs/coordination.md has it."""
    lines = [
        "",
        f"| kubemr, {runs[0][0].workers} workers, medians of {len(runs[0])} | "
        + " | ".join(f"{same[0].tasks:,} tasks" for same in runs)
        + " |",
        "| --- |" + " --- |" * len(runs),
    ]
    for figure in FIGURES:
        values = " | ".join(shown(median(figure, same)) for same in runs)
        lines.append(f"| {figure.name}, {figure.unit} | {values} |")
    lines += ["", f"| others | tasks | tasks/s | kubemr at {runs[-1][0].tasks:,} is |", "| --- | --- | --- | --- |"]
    everybody = [*peers, Peer("all tasks in one object", one.tasks, one.done / one.seconds)]
    rate = median(RATE, runs[-1])
    lines += [
        f"| {peer.title} | {peer.tasks:,} | {shown(peer.rate)} | {rate / peer.rate:,.1f} times |" for peer in everybody
    ]
    lines += ["", f"| shards of, {next(iter(sized.values())).tasks:,} tasks | " + " | ".join(map(str, sized)) + " |"]
    lines += ["| --- |" + " --- |" * len(sized)]
    for figure in (RATE, COST, PATCHES):
        lines.append(
            f"| {figure.name}, {figure.unit} | " + " | ".join(shown(figure.of(each)) for each in sized.values()) + " |"
        )
    return "\n".join(lines) + "\n"


def promises(runs: Sequence[Sequence[Ran]], long: Ran, peers: Sequence[Peer]) -> list[tuple[str, bool]]:
    """Each with whether it is kept."""
    rate, share = median(RATE, runs[-1]), 100 * max(ran.database for same in runs for ran in same) / QUOTA
    found = []
    for peer in peers:
        least = LEAST.get(peer.title, 10)
        said = f"at least {least} times the rate of {peer.title}: {rate / peer.rate:.1f}"
        found.append((said, rate >= least * peer.rate))
    cost = median(COST, runs[-1])
    found.append((f"at most 0.3 ms of server CPU per task: {cost:.3f}", cost <= 0.3))
    if len(runs) > 1:
        growth = cost / median(COST, runs[-2])
        found.append((f"at most 1.15 times the cost of a tenth of the tasks: {growth:.2f}", growth <= 1.15))
    each, slow = median(PATCHES, runs[-1]), PATCHES.of(long)
    object_size = max(ran.largest for same in runs for ran in same) / KIB
    often = max(ran.all_of_it.job_patches - (ran.deploy + ran.work + ran.clean) for same in runs for ran in same)
    found += [
        (f"the job is patched at most 8 times, and once a second: {often:.0f} more than its seconds", often <= 8),
        (f"at most 0.1 patches per empty task: {each:.3f}", each <= 0.1),
        (f"at most 1.1 patches per task of 2 s: {slow:.3f}", slow <= 1.1),
        (f"no object above 256 KiB: {object_size:.1f}", object_size <= 256),
        (f"at most a tenth of etcd's default quota before compaction: {share:.2f} %", share <= 10),
    ]
    return found
