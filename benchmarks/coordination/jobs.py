"""Our side: the jobs that are measured, each with a real operator of its own or, of one round, a common one."""

from __future__ import annotations

from pathlib import Path

from coordination.jobrun import Operator, Ran, run_job
from coordination.server import Server

LASTING_SECONDS = 2.0
"""Of a task that lasts: a patch claims each and commits the one before."""
LASTING = ((256, 8), (256, 16))
"""Tasks and workers: with a shard for each worker, and with two workers to each shard."""
SHARD_SIZES, SIZED_TASKS = (16, 32, 64, 128, 256, 512), 10_000
"""Sizes of shards that are tried, in a job of so many tasks."""


def empty(server: Server, folder: Path, sizes: list[int], workers: int) -> list[Ran]:
    """Jobs of empty tasks of each size, once."""
    operator = Operator(server, folder / "operator")
    try:
        run_job(server, operator, folder, min(sizes), workers)  # not counted: all caches are cold
        runs = []
        for tasks in sizes:
            runs.append(run_job(server, operator, folder, tasks, workers))
            print(f"kubemr: {tasks:,} tasks, {runs[-1].rate:,.0f} tasks/s", flush=True)
        return runs
    finally:
        operator.stop()


def lasting(server: Server, folder: Path) -> list[Ran]:
    """Jobs of tasks that last."""
    operator = Operator(server, folder / "operator-lasting")
    try:
        return [run_job(server, operator, folder, tasks, workers, LASTING_SECONDS) for tasks, workers in LASTING]
    finally:
        operator.stop()


def by_shard_size(server: Server, folder: Path, workers: int) -> dict[int, Ran]:
    """The same job with shards of each size."""
    found = {}
    for size in SHARD_SIZES:
        operator = Operator(server, folder / f"operator-{size}", size)
        try:
            found[size] = run_job(server, operator, folder, SIZED_TASKS, workers)
        finally:
            operator.stop()
    return found
