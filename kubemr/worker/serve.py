"""`kubemr.serve`: what a worker image runs.

The same program is started twice.  The first process is the worker (`process`).  It starts the second,
which runs user code and nothing else (`executor`, `child`) and imports only what that needs.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from kubemr.worker.execution.child_main import is_child, run_child
from kubemr.worker.job_worker import JobWorker


def serve(worker: JobWorker) -> NoReturn:
    """Work on the job that the environment names until it is over, and exit.

    Exit codes: 0 the job is over; 1 this worker cannot go on; 2 its settings are wrong; 143 it was told to end.
    """
    if is_child():
        run_child(worker)
    from kubemr.worker.main import work

    sys.exit(work(os.environ))
