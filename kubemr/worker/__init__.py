"""The worker runtime: `JobWorker`, the class that users write, and `serve`, which runs it in two processes."""

from kubemr.worker.job_worker import JobWorker
from kubemr.worker.serve import serve

__all__ = ["JobWorker", "serve"]
