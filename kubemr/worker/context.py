"""What user code can reach while a task runs: its names, the object store, its progress, its directory.

A `TaskContext` lives as long as one attempt.  `JobWorker`'s helpers are thin methods over it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kubemr.coordination.outputs import ERROR, OUTPUTS
from kubemr.worker.assignment import JobInfo, TaskInfo

if TYPE_CHECKING:
    from kubemr.storage import ObjectStore


class TaskContext:
    """One attempt.  `store` opens the object store on first use; `directory` is where working files may lie."""

    def __init__(
        self,
        job: JobInfo,
        task: TaskInfo,
        prefix: str,
        directory: str,
        store: Callable[[], ObjectStore],
        progress: Callable[[], None],
    ) -> None:
        self.job = job
        self.task = task
        self.progress = progress
        self._prefix = prefix
        self._directory = directory
        self._store = store
        self._workdir: Path | None = None

    def fetch(self, url_or_key: str) -> bytes:
        """A whole object, by URL or by key in the job's own store."""
        from kubemr.storage import locate

        store, key = locate(url_or_key, self._store())
        data = store.get(key)
        self.progress()
        return data

    def open(self, url_or_key: str) -> BinaryIO:
        """An object as a stream."""
        from kubemr.storage import locate

        store, key = locate(url_or_key, self._store())
        return store.reader(key)

    def put(self, name: str, data: bytes) -> str:
        """Write an object under the attempt's prefix and return its URL."""
        key = self._key(name)
        store = self._store()
        store.put(key, data)
        self.progress()
        return store.url(key)

    def put_file(self, name: str, path: Path) -> str:
        """Copy a file to an object under the attempt's prefix and return its URL."""
        key = self._key(name)
        store = self._store()
        store.put_file(key, path)
        self.progress()
        return store.url(key)

    @property
    def workdir(self) -> Path:
        """A directory of the attempt's own, made on first use."""
        if self._workdir is None:
            task = self.task
            self._workdir = Path(tempfile.mkdtemp(prefix=f"{task.stage}-{task.number}-", dir=self._directory))
        return self._workdir

    def close(self) -> None:
        """Remove the directory."""
        if self._workdir is not None:
            shutil.rmtree(self._workdir, ignore_errors=True)

    def _key(self, name: str) -> str:
        if name in (OUTPUTS, ERROR):
            raise ValueError(f"{self.task}: the name {name!r} is kubemr's own; store under another")
        parts = name.split("/")
        if not name or any(part in ("", ".", "..") for part in parts):
            raise ValueError(
                f"{self.task}: cannot store under the name {name!r}; "
                "use a relative name such as 'part.txt' or 'dir/part.txt', without empty, '.' or '..' parts"
            )
        return f"{self._prefix}{name}"
