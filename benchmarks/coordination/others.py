"""Other schedulers with the same empty tasks, each in a process and a venv of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from attrs import frozen

from figures import ROOT

PYTHON = ROOT / ".venv-bench" / "bin" / "python"
SLOW = 300
"""Tasks for a peer that does some tens of them in a second."""
CLOCK = "submission to the last result; session and workers warm"


@frozen
class Asked:
    """A scheduler, and how many tasks it gets."""

    name: str
    title: str
    tasks: int

    def run(self, workers: int) -> float:
        """Once; the tasks per second."""
        command = [str(PYTHON), str(Path(__file__).with_name("peers.py")), self.name, str(self.tasks), str(workers)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.title}: {done.stderr[-3000:]}")
        rate = self.tasks / float(json.loads(done.stdout.splitlines()[-1])["seconds"])
        print(f"{self.title}: {self.tasks:,} tasks, {rate:,.0f} tasks/s", flush=True)
        return rate


def asked(tasks: int) -> list[Asked]:
    """All of them that this machine has, for each round."""
    found = [Asked("dask", "Dask distributed", tasks)]
    if shutil.which("java") is None:
        print("left out: Spark, which needs a Java runtime (apt-get install default-jre-headless)", flush=True)
    else:
        found.append(Asked("spark-jvm", "Spark, JVM tasks", tasks))
        found.append(Asked("spark-python", "Spark, Python tasks", min(tasks, SLOW)))
    return found


def at_largest(usual: list[Asked], tasks: int) -> list[Asked]:
    """Those that can do our largest job in some minutes, with as many tasks; what the usual ones do is not repeated."""
    return [
        Asked(each.name, each.title, tasks) for each in usual if each.tasks != tasks and each.name != "spark-python"
    ]
