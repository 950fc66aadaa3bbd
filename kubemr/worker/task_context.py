"""What user code can use while a task runs: its names, the object store, its progress, its directory.

A `TaskContext` exists for one attempt.
The methods of `JobWorker` call it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote

from kubemr.coordination.attempt_records import RECORDS
from kubemr.coordination.outputs import OUTPUTS
from kubemr.coordination.splits import Part
from kubemr.storage.base import ObjectStore
from kubemr.storage.errors import InvalidKeyError
from kubemr.storage.keys import problem
from kubemr.storage.open import fetch, open_input
from kubemr.worker.assignment import JobInfo, TaskInfo
from kubemr.worker.input.record_reader import records

RECORDS_PER_PROGRESS: Final = 16
"""The number of records after which a task has made progress; if one takes long, user code must report progress."""


class TaskContext:
    """The context of one attempt.  `store` opens the object store on first use; `directory` is for working files."""

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
        """Read a whole object, by URL or by key in the job's own store."""
        store = self._store()
        key = _own_key(url_or_key, store)
        data = fetch(url_or_key) if key is None else store.get(key)
        self.progress()
        return data

    def open(self, url_or_key: str, start: int = 0) -> BinaryIO:
        """Open an object as a stream from offset `start` on, by URL or by key in the job's own store."""
        store = self._store()
        key = _own_key(url_or_key, store)
        stream = open_input(url_or_key, start=start) if key is None else store.reader(key, start)
        self.progress()
        return stream

    def records(self, parts: Iterable[Part]) -> Iterator[bytes]:
        """Yield the records of all parts, in order."""
        for part in parts:
            for count, record in enumerate(records(part, self.open)):
                if count % RECORDS_PER_PROGRESS == 0:
                    self.progress()
                yield record

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
        """The attempt's directory, created on first use."""
        if self._workdir is None:
            task = self.task
            self._workdir = Path(tempfile.mkdtemp(prefix=f"{task.stage}-{task.number}-", dir=self._directory))
        return self._workdir

    def close(self) -> None:
        """Remove the attempt's directory."""
        if self._workdir is not None:
            shutil.rmtree(self._workdir, ignore_errors=True)

    def _key(self, name: str) -> str:
        error = "kubemr writes an object of that name itself" if name in {OUTPUTS, *RECORDS} else problem(name)
        if error:
            raise ValueError(
                f"{self.task}: cannot store under the name {name!r}: {error}; "
                "use another name, e.g. 'part.txt' or 'dir/part.txt'"
            )
        return f"{self._prefix}{name}"


def _own_key(url_or_key: str, store: ObjectStore) -> str | None:
    """Return the key in the job's own store: the text itself if it is not a URL, the key whose URL it is, or None.

    Reducers fetch thousands of small objects by URL that mappers stored.
    These reads use the store that is open already, with its connections, and do not open one for each object.
    """
    if "://" not in url_or_key:
        return url_or_key
    root = store.url("x")[:-1]
    if not url_or_key.startswith(root):
        return None
    path = url_or_key[len(root) :]
    # Some stores' URLs are percent-encoded and some are not: the correct key is the one that has this URL.
    return next((key for key in (path, unquote(path)) if _has_url(store, key, url_or_key)), None)


def _has_url(store: ObjectStore, key: str, url: str) -> bool:
    try:
        return store.url(key) == url
    except InvalidKeyError:
        return False
