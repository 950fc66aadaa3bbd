"""The tail of a job with real processes: a task that never ends is done by a backup, and who is not needed leaves."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from support.localrun import Marked, contents, rest_of, until

pytestmark = pytest.mark.long

HANGS_ONCE = """
class Worker(kubemr.JobWorker):
    def map(self, input):
        if input == "slow":
            marker = self.job.jobargs["marker"]
            if not os.path.exists(marker):
                open(marker, "x").close()
                signal.pause()
            open(self.job.jobargs["go"]).readline()
        return {0: input}

    def reduce(self, inputs):
        return self.store("out.txt", " ".join(sorted(inputs)).encode())

if __name__ == "__main__":
    kubemr.serve(Worker())
"""
WORKERS = 6


def test_a_task_that_hangs_is_backed_up_and_idle_workers_leave(tmp_path: Path) -> None:
    """The backup commits well before `taskTimeoutSeconds`, and nothing is left at the end.

    This also holds if the hanging worker has run all other tasks before, and the remaining workers have run none.
    """
    marked = Marked(tmp_path)
    os.mkfifo(tmp_path / "go")
    inputs = [*"abcdefghijkl", "slow"]
    manifest = marked.manifest(
        inputs=inputs,
        replicas=WORKERS,
        partitions=1,
        taskTimeoutSeconds=86_400,
        jobargs={"marker": str(tmp_path / "marker"), "go": str(tmp_path / "go")},
    )
    process = marked.start(manifest, "-v", "--", sys.executable, marked.program(HANGS_ONCE))
    assert process.stderr is not None
    said = until(process.stderr, "worker_scaled_down")
    # For reading too, so that it does not wait for a backup that may never come; open until there was one to read it.
    with open(os.open(tmp_path / "go", os.O_RDWR), "w") as go:
        print("on", file=go, flush=True)
        out, rest = rest_of(process)
    err = "".join(said) + rest
    assert process.returncode == 0, err
    assert contents(out.split()) == [" ".join(sorted(inputs)).encode()]
    left = set(re.findall(r"worker_scaled_down .*worker=w(\d+)-", err))
    assert left <= {str(index) for index in range(4, WORKERS)}, "workers that had to stay have left"
    assert not marked.processes()
    assert marked.files() == []
