"""The base class of a worker: strings in, strings out.

A user subclasses `JobWorker` and gives it `map` and, unless the job has no reduce stage, `reduce`.
Everything else here is help for those two.  See docs/workers.md.
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

    One instance runs many tasks, one after another, in a process of its own.  What it keeps on `self` is
    there for the next task of this process and no other: which tasks those are is nobody's promise.
    """

    # Set by the runtime, so that a subclass need not call super().__init__().
    _kubemr_job: JobInfo | None = None
    _kubemr_context: TaskContext | None = None

    def map(self, input: str) -> Mapping[int, str]:
        """Do the map task for one input; return its output strings by partition number, `{}` for none.

        A partition is an integer from 0 up to `self.job.partitions` (exclusive): take the hash of the key
        modulo that number, by a hash that is the same in every process (`hash(str)` is not).  What the
        strings mean is up to you; most often they are the URLs that `self.store` returned.
        """
        raise NotImplementedError(f"{type(self).__name__} has no map method: write `def map(self, input: str)`")

    def reduce(self, inputs: list[str]) -> str:
        """Do the reduce task for one partition; return its output string, `""` for success without a result.

        `inputs` holds what the map tasks returned for the partition, in the order of the map tasks.  It is
        not called for a partition for which no map task returned anything.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no reduce method: write `def reduce(self, inputs: list[str])`, "
            "or set the job's partitions to 0 for a job that only maps"
        )

    def worker_init(self) -> None:
        """Prepare the process: called once in each process before its first task, e.g. to load a model."""

    @property
    def job(self) -> JobInfo:
        """The job: `name`, `namespace`, `run` (from 1), `partitions`, `jobargs` (the spec's, by name)."""
        if self._kubemr_job is None:
            raise RuntimeError("self.job is known only under kubemr.serve: in worker_init, map and reduce")
        return self._kubemr_job

    @property
    def task(self) -> TaskInfo:
        """The attempt: `step`, `stage` ("map" or "reduce"), `number` in its stage, `attempt`."""
        return self._context("self.task").task

    def fetch(self, url_or_key: str) -> bytes:
        """Read a whole object: a URL (`s3://…`, `file://…`, `http(s)://…`) or a key in the job's own store."""
        return self._context("self.fetch").fetch(url_or_key)

    def open(self, url_or_key: str) -> BinaryIO:
        """Read an object as a stream; close it after use (`with self.open(url) as stream:`)."""
        return self._context("self.open").open(url_or_key)

    def parts(self, input: str) -> tuple[Part, ...]:
        """Return the files, or pieces of files, that a map task's input names.

        Each has `url`, `start`, `length`, `compression` and `last`; `length` is None for a whole file.  With `last` the
        file must end where the piece does, or what follows is read by nobody.  An input that is an address is one whole
        file.
        """
        if not input.startswith("{"):
            return (Part(input, compression=compression_of(input)),)
        return Split.parse(input).parts

    def records(self, input: str) -> Iterator[bytes]:
        """Yield the records of a map task's input: lines without their ends, unpacked where the files are packed.

        However the job's files were cut and packed into tasks, each record is in the input of exactly one of them.
        """
        return self._context("self.records").records(self.parts(input))

    def store(self, name: str, data: bytes) -> str:
        """Write an object and return its URL.

        `name` is relative to this attempt: another attempt at the same task does not overwrite it, and
        nobody reads it unless this attempt is the one that counts and you return the URL.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"self.store({name!r}, …): data is {type(data).__name__}; give bytes, e.g. text.encode()")
        return self._context("self.store").put(name, bytes(data))

    def store_file(self, name: str, path: str | os.PathLike[str]) -> str:
        """Write an object from a file and return its URL; `name` as in `store`."""
        return self._context("self.store_file").put_file(name, Path(path))

    def progress(self) -> None:
        """Say that a long task is getting on: its time-out (`taskTimeoutSeconds`) starts anew.

        The helpers that read and write objects say so by themselves.
        """
        self._context("self.progress").progress()

    @property
    def workdir(self) -> Path:
        """An empty directory for working files, removed after the task."""
        return self._context("self.workdir").workdir

    def _context(self, what: str) -> TaskContext:
        if self._kubemr_context is None:
            raise RuntimeError(f"{what} is available only while a task runs: in map and reduce")
        return self._kubemr_context


def require_worker(worker: object) -> None:
    """Raise TypeError unless `worker` is what `kubemr.serve` takes."""
    if isinstance(worker, JobWorker):
        return
    if isinstance(worker, type) and issubclass(worker, JobWorker):
        raise TypeError(f"kubemr.serve({worker.__name__}): that is the class; give an instance, {worker.__name__}()")
    raise TypeError(f"kubemr.serve({worker!r}): give an instance of a subclass of kubemr.JobWorker")
