"""`kubemr.serve`: the main function of a worker image.

The same program is started twice.
The first process is the worker (`main`).
It starts the second process, which only runs user code (`execution.child_main`) and imports only what that needs.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from kubemr.worker.execution.child_main import is_child, run_child
from kubemr.worker.job_worker import JobWorker


def serve(worker: JobWorker) -> NoReturn:
    """Work on the job that the environment names until the job ends, then exit.

    Exit codes:

    - 0: the job has ended, or does not need this worker any more
    - 1: this worker failed
    - 2: a setting is invalid
    - 143: SIGTERM received
    """
    if is_child():
        run_child(worker)
    from kubemr.worker.main import run_worker

    sys.exit(run_worker(os.environ))
