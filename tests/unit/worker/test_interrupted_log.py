"""After SIGTERM a worker writes the log of the attempt that it stopped, after it has released the task."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from kubemr.coordination.attempt_records import AttemptLog
from kubemr.local.apiserver.http import HttpServer
from kubemr.storage import DirectoryStore
from support.bench import Bench
from support.workerharness import PATIENCE, ROOT

PROGRAM = """
import threading
import kubemr

class Worker(kubemr.JobWorker):
    def map(self, input):
        print("got", input)
        threading.Event().wait()

if __name__ == "__main__":
    kubemr.serve(Worker())
"""


def test_it_is_written(tmp_path: Path) -> None:
    """It has the output so far, and no outcome."""
    bench = Bench()
    job = bench.deployed(inputs=["this far"], partitions=0, replicas=1)
    program = tmp_path / "worker.py"
    program.write_text(PROGRAM)
    store = DirectoryStore(tmp_path / "store")
    server = HttpServer(bench.server, "t")
    server.start()
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "KUBEMR_JOB_NAME": job.name,
        "KUBEMR_JOB_NAMESPACE": job.namespace,
        "KUBEMR_JOB_UID": job.uid,
        "KUBEMR_RUN": "1",
        "KUBEMR_WORKER_INDEX": "0",
        "KUBEMR_APISERVER": server.url,
        "KUBEMR_APISERVER_TOKEN": "t",
        "KUBEMR_STORAGE_URL": (tmp_path / "store").as_uri(),
    }
    worker = subprocess.Popen([sys.executable, str(program)], env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "got this far\n"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 143
    finally:
        worker.kill()
        worker.communicate()
        server.stop()
    assert str(bench.shard(job).tasks[0]) == "pending/2/0/0/"
    (item,) = store.list(f"{job.storage_prefix}0/map/0/")
    assert item.key.endswith("/log.txt")
    log = AttemptLog.decode(store.get(item.key))
    assert (log.printed, log.outcome) == (b"got this far\n", "")
    assert log.task == item.key.removeprefix(f"{job.storage_prefix}0/").removesuffix("/log.txt")
