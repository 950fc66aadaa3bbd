"""The results of a job: the outputs of the attempts that count in its last stage, in order of task number.

There may be a million, each in an object of its own.  Several are read at the same time, and some hundred are one
effect: a worker that is at one effect for minutes counts as stuck.  The first ones, as many as fit on the job, are kept
as they are; where there are more, all of them go into one object, and until then are kept compressed.  (Not in a file:
an operator has no place for one.)
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
"""What fits on the object itself: so many results, each and all together of so many bytes (UTF-8).

Where there is more, all of them are in the manifest, and the object holds the first ones."""
SLICE: Final = 512
"""Objects that are read in one effect, at most."""
SLICE_SECONDS: Final = 20.0
"""An effect that has lasted for so long reads no more than it has begun to: a store may be slow, or be throttling."""
LOOK_SECONDS: Final = 10.0
"""After so long it is asked whether somebody else has finished the job meanwhile."""
_PIECE: Final = 1 << 16


@frozen
class Results:
    """`first` are on the job; `count` there are in all.  `manifest` is the address of all, where not all fit."""

    first: Sequence[str] = ()
    count: int = 0
    manifest: str = ""


@define(eq=False)
class CollectedResults:
    """The results so far: the first ones, and the text of the others."""

    first: list[str] = field(factory=list, init=False)
    """As many as fit on the job."""
    count: int = field(default=0, init=False)
    _size: int = field(default=0, init=False)
    _compressing: zlib._Compress = field(factory=lambda: zlib.compressobj(1), init=False)
    _rest: list[bytes] = field(factory=list, init=False)
    """What follows the first ones in the manifest, compressed."""

    @property
    def fit(self) -> bool:
        """All of them are among the first."""
        return self.count == len(self.first)

    def add(self, results: Iterable[str]) -> None:
        """The next ones."""
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
        """All of them as one JSON document, some of it at a time; once, when there are no more."""
        yield json.dumps(self.first, ensure_ascii=False).encode()[:-1]
        expanding = zlib.decompressobj()
        for chunk in (*self._rest, self._compressing.flush()):
            while chunk:
                yield expanding.decompress(chunk, _PIECE)
                chunk = expanding.unconsumed_tail
        yield expanding.flush() + b"]"


def collect_results(
    job: JobView, stage: Stage, attempts: Sequence[str], store: Store, readers: int
) -> Op[CollectedResults | None]:
    """Read the outputs of these attempts; None when somebody else has moved the job on meanwhile."""
    keys = (
        names.attempt_prefix(job.storage_prefix, stage.step, stage.name, number, attempt) + OUTPUTS
        for number, attempt in enumerate(attempts)
        if attempt
    )
    gathered = CollectedResults()
    looked: float = yield Now()
    following: list[str] = []
    while following := [*following, *islice(keys, SLICE - len(following))]:
        found: list[list[str]] = yield Do(partial(_read, store, following, readers), "read results")
        del following[: len(found)]
        for results in found:
            gathered.add(results)
        now: float = yield Now()
        if now - looked >= LOOK_SECONDS:
            looked = now
            document: Json = yield from read(job.target)
            if document is None or document["metadata"].get("deletionTimestamp") or not job.guard().holds(document):
                return None
    return gathered


def _read(store: Store, keys: Sequence[str], readers: int) -> list[list[str]]:
    """The outputs of the first ones: of as many as there is time for, and one at least."""

    def one(key: str) -> list[str]:
        return list(decode_outputs(store.get(key)).values())

    if readers == 1 or len(keys) == 1:
        return _in_time(map(one, keys))
    # Here, as it takes some milliseconds, and most workers finish no job.
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
