"""The results of a job: the outputs of the attempts that count in its last stage, in order of task number.

There may be a million of them, each in its own object.
Several objects are read at the same time, and up to `SLICE` of them are one effect.
An effect must not last for minutes, because the watchdog would consider the worker stuck.

The first results, as many as fit on the job, are kept in memory as they are.
If there are more, all results are written to one object, the manifest, and until then are kept compressed in memory.
They are not kept in a file, because the operator has no writable file system.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final

from attr import define, field, frozen

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView, Stage
from kubemr.coordination.object_store import Store
from kubemr.coordination.outputs import OUTPUTS, decode_outputs
from kubemr.locks.conditional import read
from kubemr.locks.effects import Do, Json, Now, Op

MAX_RESULTS: Final = 256
MAX_RESULT_BYTES: Final = 1024
MAX_RESULTS_BYTES: Final = 64 * 1024
"""The limits of the results on the job's object: their number, the bytes of each, and the bytes of all (UTF-8).

If there are more, the manifest holds all results, and the object the first ones."""
SLICE: Final = 512
"""The largest number of objects that are read in one effect."""
SLICE_SECONDS: Final = 20.0
"""The time after which an effect begins no other read: a store may be slow, or throttle its clients."""
CHECK_SECONDS: Final = 10.0
"""The time after which the job is read again, because another process may have finished it."""
_CHUNK_BYTES: Final = 1 << 16


@frozen
class Results:
    """The results for a job's status: the `first` ones, and the `count` of all.

    `manifest` is the address of all results, or empty if all are in `first`.
    """

    first: Sequence[str] = ()
    count: int = 0
    manifest: str = ""


@define(eq=False)
class CollectedResults:
    """The results so far: the first ones, and the compressed text of the others."""

    first: list[str] = field(factory=list, init=False)
    """The results that fit on the job."""
    count: int = field(default=0, init=False)
    _size: int = field(default=0, init=False)
    _compressing: zlib._Compress = field(factory=lambda: zlib.compressobj(1), init=False)
    _rest: list[bytes] = field(factory=list, init=False)
    """The part of the manifest after the first results, compressed."""

    @property
    def fit(self) -> bool:
        """True if all results fit on the job."""
        return self.count == len(self.first)

    def add(self, results: Iterable[str]) -> None:
        """Append results."""
        for result in results:
            size = len(result.encode())
            small = size <= MAX_RESULT_BYTES and self._size + size <= MAX_RESULTS_BYTES
            if self.fit and small and self.count < MAX_RESULTS:
                self.first.append(result)
                self._size += size
            else:
                text = (", " if self.count else "") + json.dumps(result, ensure_ascii=False)
                self._rest.append(self._compressing.compress(text.encode()))
                if not self._rest[-1]:
                    self._rest.pop()
            self.count += 1

    def manifest(self) -> Iterator[bytes]:
        """Yield all results as one JSON document, in chunks; to be called once, after the last `add`."""
        yield json.dumps(self.first, ensure_ascii=False).encode()[:-1]
        expanding = zlib.decompressobj()
        for chunk in (*self._rest, self._compressing.flush()):
            while chunk:
                yield expanding.decompress(chunk, _CHUNK_BYTES)
                chunk = expanding.unconsumed_tail
        yield expanding.flush() + b"]"


def collect_results(
    job: JobView, stage: Stage, attempts: Sequence[str], store: Store, readers: int
) -> Op[CollectedResults | None]:
    """Read the outputs of these attempts; return None if another process has advanced the job in the meantime."""
    keys = (
        names.attempt_prefix(job.storage_prefix, stage.step, stage.name, number, attempt) + OUTPUTS
        for number, attempt in enumerate(attempts)
        if attempt
    )
    collected = CollectedResults()
    checked_at: float = yield Now()
    following: list[str] = []
    while following := [*following, *islice(keys, SLICE - len(following))]:
        found: list[list[str]] = yield Do(partial(_read, store, following, readers), "read results")
        del following[: len(found)]
        for results in found:
            collected.add(results)
        now: float = yield Now()
        if now - checked_at >= CHECK_SECONDS:
            checked_at = now
            document: Json = yield from read(job.target)
            if document is None or document["metadata"].get("deletionTimestamp") or not job.guard().holds(document):
                return None
    return collected


def _read(store: Store, keys: Sequence[str], readers: int) -> list[list[str]]:
    """Return the outputs under the first keys: as many as can be read in `SLICE_SECONDS`, and at least one."""

    def one(key: str) -> list[str]:
        return list(decode_outputs(store.get(key)).values())

    if readers == 1 or len(keys) == 1:
        return _in_time(map(one, keys))
    # Imported here, because it takes some milliseconds, and most workers never finish a job.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(readers, len(keys)), "kubemr-results") as pool:
        try:
            return _in_time(pool.map(one, keys))
        finally:
            pool.shutdown(cancel_futures=True)


def _in_time(found: Iterator[list[str]]) -> list[list[str]]:
    until = time.monotonic() + SLICE_SECONDS
    taken: list[list[str]] = []
    for results in found:
        taken.append(results)
        if time.monotonic() >= until:
            break
    return taken
