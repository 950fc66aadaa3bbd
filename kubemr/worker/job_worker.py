"""The base class of a worker: strings in, strings out.

A user writes a subclass of `JobWorker` with a method `map` and, unless the job has no reduce stage, `reduce`.
All other members are help for these two.
See docs/workers.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kubemr.coordination.splits import Part, Split, compression_of

if TYPE_CHECKING:
    from kubemr.worker.assignment import JobInfo, TaskInfo
    from kubemr.worker.task_context import TaskContext


class JobWorker:
    """Subclass it, and end the program with `if __name__ == "__main__": kubemr.serve(YourWorker())`.

    One instance runs many tasks, one after another, in one process.
    Attributes that a task sets on `self` are there for the next task of this process.
    Which task that is, is not defined.
    """

    # Set by the runtime, so that a subclass need not call super().__init__().
    _kubemr_job: JobInfo | None = None
    _kubemr_context: TaskContext | None = None

    def map(self, input: str) -> Mapping[int, str]:
        """Do the map task for one input; return its output strings by partition number, `{}` for none.

        A partition is an integer from 0 up to `self.job.partitions` (exclusive).
        Use the hash of the key modulo that number, with a hash that is the same in every process (`hash(str)` is not).
        You define the meaning of the strings; usually they are URLs that `self.store` returned.
        """
        raise NotImplementedError(f"{type(self).__name__} has no map method: write `def map(self, input: str)`")

    def reduce(self, inputs: list[str]) -> str:
        """Do the reduce task for one partition; return its output string, `""` for success without a result.

        `inputs` holds what the map tasks returned for the partition, in the order of the map tasks.
        This method is not called for a partition for which no map task returned a string.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no reduce method: write `def reduce(self, inputs: list[str])`, "
            "or set the job's partitions to 0 for a job that only maps"
        )

    def worker_init(self) -> None:
        """Prepare the process, e.g. load a model; called once in each process, before its first task."""

    @property
    def job(self) -> JobInfo:
        """The job: `name`, `namespace`, `run` (from 1), `partitions`, `jobargs` (by name)."""
        if self._kubemr_job is None:
            raise RuntimeError("self.job is known only under kubemr.serve: in worker_init, map and reduce")
        return self._kubemr_job

    @property
    def task(self) -> TaskInfo:
        """The attempt: `step`, `stage` ("map" or "reduce"), the task's `number` in its stage, `attempt`."""
        return self._context("self.task").task

    def fetch(self, url_or_key: str) -> bytes:
        """Read a whole object: a URL (`s3://…`, `file://…`, `http(s)://…`) or a key in the job's own store."""
        return self._context("self.fetch").fetch(url_or_key)

    def open(self, url_or_key: str) -> BinaryIO:
        """Read an object as a stream; close it after use (`with self.open(url) as stream:`)."""
        return self._context("self.open").open(url_or_key)

    def parts(self, input: str) -> tuple[Part, ...]:
        """Return the files, or pieces of files, that a map task's input names.

        Each has `url`, `start`, `length`, `compression` and `last`; `length` is None for a whole file.
        A piece with `last` must end where the file ends, because no other task reads what follows.
        An input that is an address is one whole file.
        """
        if not input.startswith("{"):
            return (Part(input, compression=compression_of(input)),)
        return Split.parse(input).parts

    def records(self, input: str) -> Iterator[bytes]:
        """Yield the records of a map task's input: lines without their ends, decompressed if the files are compressed.

        However the job's files were split into tasks, each record is in the input of exactly one task.
        """
        return self._context("self.records").records(self.parts(input))

    def store(self, name: str, data: bytes) -> str:
        """Write an object and return its URL.

        `name` is relative to this attempt, so another attempt at the same task does not overwrite the object.
        Readers see it only if this attempt counts and you return the URL.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"self.store({name!r}, …): data is {type(data).__name__}; pass bytes, e.g. text.encode()")
        return self._context("self.store").put(name, bytes(data))

    def store_file(self, name: str, path: str | os.PathLike[str]) -> str:
        """Write an object from a file and return its URL; `name` is as in `store`."""
        return self._context("self.store_file").put_file(name, Path(path))

    def progress(self) -> None:
        """Report that a long task makes progress: its time-out (`taskTimeoutSeconds`) starts again.

        The methods that read and write objects report progress by themselves.
        """
        self._context("self.progress").progress()

    @property
    def workdir(self) -> Path:
        """A directory for working files, empty at first and removed after the task."""
        return self._context("self.workdir").workdir

    def _context(self, what: str) -> TaskContext:
        if self._kubemr_context is None:
            raise RuntimeError(f"{what} is available only while a task runs: in map and reduce")
        return self._kubemr_context


def require_worker(worker: object) -> None:
    """Raise TypeError unless `worker` is an instance of a subclass of `JobWorker`."""
    if isinstance(worker, JobWorker):
        return
    if isinstance(worker, type) and issubclass(worker, JobWorker):
        raise TypeError(f"kubemr.serve({worker.__name__}): this is the class; pass an instance, {worker.__name__}()")
    raise TypeError(f"kubemr.serve({worker!r}): pass an instance of a subclass of kubemr.JobWorker")
