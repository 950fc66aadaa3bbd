"""Run one task after another in the child: call user code, then write what it returned to the object store.

The garbage collector is off while user code runs.
All objects from before the first task are frozen.
So the cost of a collection between two tasks is proportional to what the last task left.
Even so it would be the largest part of the cost of a task of some microseconds.
So the runner collects only after one of these:

- The tasks since the last collection took `_UNCOLLECTED_SECONDS` together.
- They left as many objects as Python itself would collect at.
- A task failed: the memory or descriptors that it lacked may be held by garbage cycles of earlier tasks.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable

from attr import evolve

from kubemr.coordination.outputs import OUTPUTS, encode_outputs
from kubemr.storage.base import ObjectStore
from kubemr.worker.assignment import Assignment, JobInfo, OutcomeKind, TaskInfo
from kubemr.worker.execution.failure_messages import describe_error
from kubemr.worker.execution.return_values import InvalidReturnError, map_outputs, reduce_output
from kubemr.worker.input.input_chunks import InputChunkError, InputChunks
from kubemr.worker.input.shuffle import ShuffleReader
from kubemr.worker.job_worker import JobWorker
from kubemr.worker.task_context import TaskContext

_UNCOLLECTED_SECONDS = 0.005
"""Tasks can fill only little memory in this time."""


class TaskRunner:
    """Runs the tasks of one process.  `store`, called once, opens the object store; `directory` holds working files."""

    def __init__(self, worker: JobWorker, job: JobInfo, directory: str, store: Callable[[], ObjectStore]) -> None:
        self._worker = worker
        self._job = job
        self._directory = directory
        self._open_store = store
        self._opened_store: ObjectStore | None = None
        self._shuffle_reader: ShuffleReader | None = None
        self._input_chunks: InputChunks | None = None
        self._progress: Callable[[], None] = _no_progress
        self._pid = os.getpid()
        self._uncollected = 0.0

    def prepare(self) -> None:
        """Call `worker_init`; called once, before the first task."""
        self._worker._kubemr_job = self._job
        self._worker.worker_init()
        gc.collect()
        gc.freeze()

    def run(self, assignment: Assignment, progress: Callable[[], None]) -> tuple[OutcomeKind, str, float]:
        """Run an attempt, and return how it ended, why it failed, and its seconds; catch all that user code raises."""
        worker = self._worker
        self._progress = progress
        job = self._job
        if job.partitions != assignment.partitions:
            job = evolve(job, partitions=assignment.partitions)
        task = assignment.task
        context = TaskContext(job, task, assignment.prefix, self._directory, self._store, progress)
        worker._kubemr_job, worker._kubemr_context = job, context
        gc.disable()
        began = time.monotonic()
        try:
            kind: OutcomeKind = self._attempt(assignment, task)
            message = ""
        except (InvalidReturnError, InputChunkError) as error:
            kind, message = "failed", str(error)
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: user code must not end the process
            kind, message = "failed", describe_error(error)
        finally:
            worker._kubemr_context = None
            self._stop_if_forked(assignment)
        context.close()
        _flush()
        seconds = time.monotonic() - began
        self._uncollected += _UNCOLLECTED_SECONDS if kind == "failed" else seconds
        return kind, message, seconds

    def collect_garbage(self) -> None:
        """Collect garbage if it is time; called between two tasks."""
        if self._uncollected >= _UNCOLLECTED_SECONDS or gc.get_count()[0] >= gc.get_threshold()[0]:
            gc.collect()
            self._uncollected = 0.0

    def _attempt(self, assignment: Assignment, task: TaskInfo) -> OutcomeKind:
        if assignment.stage == "map":
            outputs = map_outputs(task, self._worker.map(self._input(assignment)), assignment.partitions)
        else:
            inputs = self._open_shuffle_reader().inputs(assignment.index_key, assignment.source, assignment.number)
            if not inputs:
                return "empty"
            output = reduce_output(task, self._worker.reduce(inputs))
            outputs = {assignment.number: output} if output else {}
        if not outputs:
            return "empty"
        # A process that user code forked, and that returns from `map` like its parent, must not write.
        self._stop_if_forked(assignment)
        self._store().put(assignment.prefix + OUTPUTS, encode_outputs(outputs))
        return "done"

    def _input(self, assignment: Assignment) -> str:
        if not assignment.chunk_key:
            return assignment.input
        if self._input_chunks is None:
            self._input_chunks = InputChunks(self._store())
        return self._input_chunks.read_input(assignment.chunk_key, assignment.position)

    def _store(self) -> ObjectStore:
        if self._opened_store is None:
            self._opened_store = self._open_store()
        return self._opened_store

    def _open_shuffle_reader(self) -> ShuffleReader:
        if self._shuffle_reader is None:
            self._shuffle_reader = ShuffleReader(self._store(), lambda: self._progress())
        return self._shuffle_reader

    def _stop_if_forked(self, assignment: Assignment) -> None:
        if os.getpid() != self._pid:
            print(f"kubemr: {assignment}: a process that user code forked returned from it; ended", file=sys.stderr)
            _flush()
            os._exit(1)


def _no_progress() -> None:
    """Report no progress: no task is running."""


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            # User code has closed or replaced the stream, so there is nothing to flush.
            continue
