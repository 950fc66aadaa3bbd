"""Run workers as real programs, in real processes, with a real directory store."""

from __future__ import annotations

import os
import select
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from kubemr.worker.assignment import Assignment, JobInfo, Outcome
from kubemr.worker.execution.executor import ProcessExecutor
from kubemr.worker.settings import DEFAULT_LOG_BYTES

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds after which a test stops waiting."""

HEAD = """\
import os, signal, subprocess, sys, threading, time
from kubemr.worker.execution.child_main import run_child
from kubemr.worker.job_worker import JobWorker
"""
FOOT = "\nif __name__ == '__main__':\n    run_child(Worker())\n"


class Pipe:
    """A pipe whose reader waits for a line instead of sleeping."""

    def __init__(self) -> None:
        reading, self.writing = os.pipe()
        self.lines = os.fdopen(reading, "r", encoding="utf-8", errors="replace")

    def close(self) -> None:
        """Close both ends."""
        os.close(self.writing)
        self.lines.close()


class Harness:
    """Makes worker programs and executors that run them, and stops the executors in the end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = directory / "store"
        self.store.mkdir()
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self.events: list[str] = []
        self._executors: list[ProcessExecutor] = []

    def environ(self) -> dict[str, str]:
        """Return the environment of a worker's process."""
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "TMPDIR": str(self.temporary),
            "KUBEMR_STORAGE_URL": self.store.as_uri(),
        }

    def program(self, source: str) -> list[str]:
        """Return the command of a worker program: `source`, which defines `Worker`, after some imports."""
        path = self.directory / f"worker{len(self._executors)}.py"
        path.write_text(HEAD + textwrap.dedent(source) + FOOT)
        return [sys.executable, str(path)]

    def executor(
        self,
        source: str = "",
        *,
        command: Sequence[str] | None = None,
        task_timeout: float = PATIENCE,
        job: JobInfo | None = None,
        stdout: int = 1,
        stderr: int = 2,
        log_bytes: int = DEFAULT_LOG_BYTES,
    ) -> ProcessExecutor:
        """Return an executor that runs the worker `source`, or `command`."""

        def log(event: str, **fields: object) -> None:
            self.events.append(event)

        executor = ProcessExecutor(
            job or JobInfo("words", "default", partitions=4),
            task_timeout=task_timeout,
            command=command or self.program(source),
            environ=self.environ(),
            stdout=stdout,
            stderr=stderr,
            log_bytes=log_bytes,
            log=log,
        )
        self._executors.append(executor)
        return executor

    def start_and_wait(self, executor: ProcessExecutor) -> ProcessExecutor:
        """Start the child and wait until it is ready, so that a time-out does not include its start."""
        executor.start()
        while not executor._supervisor._ready:
            executor.wait(0.01)
        return executor

    def run(self, source: str, *tasks: Assignment) -> list[Outcome]:
        """Run tasks with the worker `source`, and return their outcomes."""
        executor = self.executor(source)
        executor.submit(tasks)
        return outcomes(executor, len(tasks))

    def close(self) -> None:
        """Stop all executors."""
        for executor in self._executors:
            executor.stop()


def outcomes(executor: ProcessExecutor, count: int) -> list[Outcome]:
    """Return the next `count` outcomes."""
    found: list[Outcome] = []
    while len(found) < count:
        more = executor.wait(PATIENCE)
        assert more, f"no outcome in {PATIENCE} s; in flight: {running_attempt(executor)}"
        found += more
    return found


def running_attempt(executor: ProcessExecutor) -> Assignment | None:
    """Return the attempt that the child runs."""
    head = executor._queue.running
    return None if head is None else head.assignment


def map_task(number: int, input: str = "", attempt: str = "1-w0-abc123", partitions: int = 4) -> Assignment:
    """Return an attempt at a map task of step 0."""
    return Assignment(0, "map", number, attempt, f"job/0/map/{number}/{attempt}/", partitions, input)


def reduce_task(number: int, attempt: str = "1-w0-abc123", partitions: int = 4) -> Assignment:
    """Return an attempt at a reduce task of step 0."""
    prefix = f"job/0/reduce/{number}/{attempt}/"
    return Assignment(
        0, "reduce", number, attempt, prefix, partitions, index_key="job/run-1/0-map.index.json", source="job/0/map/"
    )


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended, also if it is not a child of this process."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(PATIENCE * 1000), f"process {pid} still lives after {PATIENCE} s"
    finally:
        os.close(descriptor)
