"""The worker runtime: `JobWorker`, the loop that claims, runs and commits tasks, the process that runs user code."""

from kubemr.worker.job_worker import JobWorker
from kubemr.worker.serve import serve

__all__ = ["JobWorker", "serve"]
