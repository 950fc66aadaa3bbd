"""The worker runtime: `JobWorker`, the loop that claims, runs and commits tasks, the process that runs user code."""
