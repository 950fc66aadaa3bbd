"""What coordination costs per task, at 1,000 to 100,000 empty tasks, beside what else a user might pick.

One run measures all sides on one machine, by turns, as machines are not equally fast at all times:

- kubemr: real etcd and kube-apiserver with kubemr's manifests (its policy of admission among them), a real operator and
  the real worker loop with the workers' own accounts; a job counts from its creation to its last child's removal;
- the same with shards of other sizes, 10,000 tasks each;
- all tasks in one object, the first kubemr's design, on the same servers;
- Dask distributed and Spark (Python and JVM tasks), warm, with as many workers;
- one pod per task, where the machine can have a node.

Parameters by environment: `WORKERS` (2), `ROUNDS` (3), `TASKS` ("1000 10000 100000"), `PEER_TASKS` (10000).  Python
tasks of Spark, which are slow, and tasks in one object are fewer; with `PEERS_AT_LARGEST=1` Dask and Spark do the
largest number of `TASKS` too, once.

Writes `build/bench/coordination.json`, and the plot of cost per task against job size, `.png` and `.svg`.  Exit code 1
when a promise of docs/coordination.md is not kept.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from attrs import evolve, frozen

from coordination import first_design, pods
from coordination.jobrun import Operator, Ran, run_job
from coordination.report import Peer, promises, results, table
from coordination.server import Server
from figures import ROOT, verdict, write

PYTHON = ROOT / ".venv-bench" / "bin" / "python"
HERE = Path(__file__).parent
SLOW = 500
"""Tasks for a peer that does some tens of them in a second."""
PODS = 40
LONG_TASKS, LONG_WORKERS, LONG_SECONDS = 256, 8, 2.0
"""Tasks that last: a patch claims each and commits the one before."""
SHARD_SIZES, SIZED_TASKS = (16, 32, 64, 128, 256, 512), 10_000
"""Sizes of shards that are tried, in a job of so many tasks."""
ONE_OBJECT = 1000
PATIENCE = 20.0
"""Seconds for tasks in one object."""


@frozen
class Asked:
    """A scheduler of others, and how many tasks it gets."""

    name: str
    title: str
    tasks: int

    def run(self, workers: int) -> float:
        """Once; the tasks per second."""
        command = [str(PYTHON), str(HERE / "peers.py"), self.name, str(self.tasks), str(workers)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.title}: {done.stderr[-3000:]}")
        rate = self.tasks / float(json.loads(done.stdout.splitlines()[-1])["seconds"])
        print(f"{self.title}: {self.tasks:,} tasks, {rate:,.0f} tasks/s", flush=True)
        return rate


def peers(tasks: int) -> list[Asked]:
    """All of them that this machine has."""
    found = [Asked("dask", "Dask distributed", tasks)]
    if shutil.which("java") is None:
        print("left out: Spark, which needs a Java runtime (apt-get install default-jre-headless)", flush=True)
    else:
        found.append(Asked("spark-jvm", "Spark, JVM tasks", tasks))
        found.append(Asked("spark-python", "Spark, Python tasks", min(tasks, SLOW)))
    return found


def ours(server: Server, folder: Path, sizes: list[int], workers: int) -> list[Ran]:
    """Our jobs of each size, once."""
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


def lasting(server: Server, folder: Path) -> Ran:
    """A job of tasks that last."""
    operator = Operator(server, folder / "operator-lasting")
    try:
        return run_job(server, operator, folder, LONG_TASKS, LONG_WORKERS, LONG_SECONDS)
    finally:
        operator.stop()


def by_shard_size(server: Server, folder: Path, tasks: int, workers: int) -> dict[int, Ran]:
    """The same job with shards of each size."""
    found = {}
    for size in SHARD_SIZES:
        operator = Operator(server, folder / f"operator-{size}", size)
        try:
            found[size] = run_job(server, operator, folder, tasks, workers)
        finally:
            operator.stop()
    return found


def one_pod_per_task(workers: int) -> Peer | None:
    """On a cluster of its own; says what is lacking where there can be none."""
    lacking = ["root"] if os.geteuid() else pods.lacks()
    if lacking:
        print(f"left out: one pod per task, which needs a node, and that needs {'; '.join(lacking)}", flush=True)
        return None
    measured = pods.measure(PODS, workers)
    return Peer("one pod per task", measured.tasks, measured.tasks / measured.seconds)


def main() -> int:
    """Measure, print, write."""
    workers, rounds = int(os.environ.get("WORKERS") or 2), int(os.environ.get("ROUNDS") or 3)
    sizes = sorted(int(each) for each in (os.environ.get("TASKS") or "1000 10000 100000").split())
    asked = peers(int(os.environ.get("PEER_TASKS") or 10_000))
    by_pods = one_pod_per_task(workers)  # First: it is refused where a cluster runs already.
    rates: dict[Asked, list[float]] = {each: [] for each in asked}
    rounds_of_ours: list[list[Ran]] = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(rounds):
            for each in asked:
                rates[each].append(each.run(workers))
            folder = Path(name) / str(number)
            server = Server(folder / "servers")
            try:
                rounds_of_ours.append(ours(server, folder, sizes, workers))
            finally:
                server.stop()
        folder = Path(name) / "others"
        server = Server(folder / "servers")
        try:
            long = lasting(server, folder)
            sized = by_shard_size(server, folder, SIZED_TASKS, workers)
            one = first_design.measure(server, ONE_OBJECT, workers, PATIENCE)
        finally:
            server.stop()
    runs = [list(same) for same in zip(*rounds_of_ours, strict=True)]
    found = [Peer(each.title, each.tasks, statistics.median(rates[each])) for each in asked]
    if os.environ.get("PEERS_AT_LARGEST"):
        largest = [evolve(each, tasks=sizes[-1]) for each in asked if each.name in ("dask", "spark-jvm")]
        found += [Peer(each.title, each.tasks, each.run(workers)) for each in largest]
    if by_pods is not None:
        found.append(by_pods)
    written = results(runs, long, one, found, sized)
    path = write("coordination", written)
    print(table(runs, one, found, sized))
    subprocess.run([str(PYTHON), str(HERE / "plot.py"), str(path), str(path.parent)], check=True)
    return verdict(promises(runs, long, found), "docs/coordination.md")


if __name__ == "__main__":
    sys.exit(main())
