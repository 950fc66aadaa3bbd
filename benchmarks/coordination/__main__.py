"""What coordination costs per task, at 1,000 to 100,000 empty tasks, beside what else a user might pick.

Each round measures on one machine, by turns, as machines are not equally fast at all times:

- Dask distributed and Spark (Python and JVM tasks), warm, with as many workers; in the last round also with the largest
  number of tasks, but for Spark's Python tasks, which are slow;
- kubemr: real etcd and kube-apiserver with kubemr's manifests (its policy of admission among them), a real operator and
  the real worker loop with the workers' own accounts; a job counts from its creation to its last child's removal;
- all tasks in one object, the first kubemr's design, on the same servers.

Not in the rounds: one pod per task, as often as there are rounds, but before them, on a cluster that would disturb the
others; kubemr's tasks that last two seconds, and shards of other sizes, once each after them.

Parameters by environment: `WORKERS` (2), `ROUNDS` (3), `TASKS` ("1000 10000 100000"), `PEER_TASKS` (10000), `PODS` (12;
0 leaves out one pod per task), `PEERS_AT_LARGEST` (1; 0 leaves out Dask and Spark with the largest number of tasks).

Writes `build/bench/coordination.json`, and the plot of cost per task against job size, `.png` and `.svg`.  Exit code 1
when a promise of docs/coordination.md is not kept.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coordination import first_design, jobs, others, pods
from coordination.first_design import OneObject
from coordination.jobrun import Ran
from coordination.measured import Measured, Peer
from coordination.others import Asked
from coordination.promises import promises
from coordination.report import results
from coordination.server import Server
from coordination.tables import tables
from figures import verdict, write

ONE_OBJECT = 1000
PATIENCE = 10.0
"""Seconds for tasks in one object, in each round."""


def one_pod_per_task(tasks: int, workers: int, rounds: int) -> list[Peer]:
    """On a cluster of its own; says what is lacking where there can be none."""
    lacking = ["root"] if os.geteuid() else pods.lacks()
    if not tasks or lacking:
        why = f"which needs a node, and that needs {'; '.join(lacking)}" if tasks else "as PODS=0 asks for"
        print(f"left out: one pod per task, {why}", flush=True)
        return []
    return [Peer("one pod per task", pods.CLOCK, tasks, pods.measure(tasks, workers, rounds))]


@contextmanager
def servers(folder: Path) -> Iterator[Server]:
    """New ones, with nothing in them."""
    server = Server(folder / "servers")
    try:
        yield server
    finally:
        server.stop()


def main() -> int:
    """Measure, print, write."""
    workers, rounds = int(os.environ.get("WORKERS") or 2), int(os.environ.get("ROUNDS") or 3)
    sizes = sorted(int(each) for each in (os.environ.get("TASKS") or "1000 10000 100000").split())
    usual = others.asked(int(os.environ.get("PEER_TASKS") or 10_000))
    largest = others.at_largest(usual, sizes[-1]) if int(os.environ.get("PEERS_AT_LARGEST") or 1) else []
    by_pods = one_pod_per_task(int(os.environ.get("PODS") or 12), workers, rounds)  # First: refused beside a cluster.
    asked = sorted([*usual, *largest], key=lambda each: (each.title, each.tasks))
    rates: dict[Asked, list[float]] = {each: [] for each in asked}
    ours: list[list[Ran]] = []
    one: list[OneObject] = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(rounds):
            for each in [*usual, *(largest if number == rounds - 1 else [])]:
                rates[each].append(each.run(workers))
            folder = Path(name) / str(number)
            with servers(folder) as server:
                ours.append(jobs.empty(server, folder, sizes, workers))
                one.append(first_design.measure(server, ONE_OBJECT, workers, PATIENCE))
        folder = Path(name) / "once"
        with servers(folder) as server:
            lasting = jobs.lasting(server, folder)
            sized = jobs.by_shard_size(server, folder, workers)
    measured = Measured(
        runs=[list(same) for same in zip(*ours, strict=True)],
        peers=[
            *(Peer(each.title, others.CLOCK, each.tasks, found) for each, found in rates.items()),
            *by_pods,
            Peer("all tasks in one object", first_design.CLOCK, ONE_OBJECT, [each.done / each.seconds for each in one]),
        ],
        one=one,
        lasting=lasting,
        sized=sized,
    )
    path = write("coordination", results(measured))
    print(tables(measured))
    plot = [str(others.PYTHON), str(Path(__file__).with_name("plot.py")), str(path), str(path.parent)]
    subprocess.run(plot, check=True)
    return verdict(promises(measured), "docs/coordination.md")


if __name__ == "__main__":
    sys.exit(main())
