"""Measure the load of a job of many workers on a real apiserver, by phase, with kubemr's priority levels and without.

    make bench-workers WORKERS=1000

Each worker is the real loop with the real renewals.
All workers run in one process, with the service account of the job's workers.
Only user code is missing: a task is a pause.
A real operator reconciles the job, with its own account.
etcd and kube-apiserver are real, with kubemr's manifests.
A second run is without their FlowSchemas and PriorityLevelConfigurations.
The apiserver's audit log counts and times the requests.

The environment variable `WORKERS` sets the number of workers (1000).
The program prints a table and writes `build/bench/workers.json`.
It exits with 1 if a promise of docs/large-clusters.md does not hold.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from figures import verdict, write
from workers.measurement import measure
from workers.report import WITHOUT, promises, results, table


def main() -> int:
    """Measure both ways, write the results and print a table; return the exit code."""
    workers = int(os.environ.get("WORKERS") or 1000)
    with tempfile.TemporaryDirectory() as name:
        print("with kubemr's priority levels", flush=True)
        ours = measure(Path(name) / "with", workers, levels=True)
        print(WITHOUT, flush=True)
        plain = measure(Path(name) / "without", workers, levels=False)
    write("workers", results(ours, plain, workers))
    print(table(ours, plain))
    return verdict(promises(ours, plain, workers), "docs/large-clusters.md")


if __name__ == "__main__":
    sys.exit(main())
