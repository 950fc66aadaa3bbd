"""What a job of many workers asks of a real apiserver, by phase, with kubemr's priority levels and without.

    make bench-workers WORKERS=1000

The real worker loop with the real renewals, once for each worker, all in one process and by the account of the job's
workers; only the user's code is not there: a task is a pause.  A real operator drives the job, by its own account.
etcd and kube-apiserver are real, with kubemr's manifests.  The same once more without their FlowSchemas and
PriorityLevelConfigurations.  Requests are counted and timed by the apiserver's own audit log.

`WORKERS` in the environment says how many (1000).  Prints a table and writes `build/bench/workers.json`.  Exit code 1
when a promise of docs/large-clusters.md is not kept.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from figures import verdict, write
from workers.report import WITHOUT, promises, results, table
from workers.side import measure


def main() -> int:
    """Measure, print, write."""
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
