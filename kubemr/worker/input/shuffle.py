"""What a reduce task reads: the outputs of one partition, from every map attempt that counts.

The stage's index names those attempts; the outputs of each are one small object that holds all
partitions.  A process that runs several reduce tasks of a stage therefore keeps what it has read.  It
fills a bounded cache and then leaves it as it is: the tasks read the same objects in the same order, for
which throwing out the oldest would mean to find nothing, ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from kubemr.coordination.outputs import OUTPUTS, READERS, Index, decode_outputs
from kubemr.storage.errors import NoSuchKeyError

CACHE_BYTES: Final = 64 << 20
"""What the kept outputs may take, as they lie in the store; about three times as much in memory."""
_AHEAD: Final = 256
"""Objects asked for in advance, so that a stage of 100,000 tasks is not 100,000 futures."""


class ShuffleError(Exception):
    """What the index promises is not in the store, or is damaged."""


class Source(Protocol):
    """What gathering needs of an object store."""

    def get(self, key: str) -> bytes:
        """Read an object.  Raises when there is none."""
        ...

    def url(self, key: str) -> str:
        """Its address, for errors."""
        ...


class ShuffleReader:
    """Reads the inputs of reduce tasks, one task after another.  `progress` is called as objects arrive."""

    def __init__(self, store: Source, progress: Callable[[], None], cache_bytes: int = CACHE_BYTES) -> None:
        self._store = store
        self._progress = progress
        self._cache_bytes = cache_bytes
        self._stage = ""
        self._index = Index(())
        self._cache: dict[str, Mapping[int, str]] = {}
        self._cache_room = cache_bytes

    def inputs(self, index_key: str, source: str, partition: int) -> list[str]:
        """Return the outputs of `partition`, in order of map task number.

        Raises `ShuffleError` when the outputs of an attempt in the index are missing or damaged: such a task
        is never taken for one without output.
        """
        if self._stage != index_key:
            self._index = self._read_index(index_key)
            self._stage, self._cache, self._cache_room = index_key, {}, self._cache_bytes
        attempts = enumerate(self._index.attempts)
        keys = [f"{source}{number}/{attempt}/{OUTPUTS}" for number, attempt in attempts if attempt]
        return [outputs[partition] for outputs in self._read_outputs(keys) if partition in outputs]

    def _read_index(self, key: str) -> Index:
        try:
            return Index.decode(self._store.get(key))
        except ValueError as error:
            raise ShuffleError(f"{self._store.url(key)}: {error}; retry the job, which writes it anew") from error

    def _read_outputs(self, keys: list[str]) -> Iterator[Mapping[int, str]]:
        if all(key in self._cache for key in keys):
            yield from (self._cache[key] for key in keys)
            return
        with ThreadPoolExecutor(READERS, "kubemr-gather") as pool:
            for start in range(0, len(keys), _AHEAD):
                for outputs in pool.map(self._read_attempt, keys[start : start + _AHEAD]):
                    self._progress()
                    yield outputs

    def _read_attempt(self, key: str) -> Mapping[int, str]:
        kept = self._cache.get(key)
        if kept is not None:
            return kept
        try:
            data = self._store.get(key)
        except NoSuchKeyError as error:
            raise ShuffleError(
                f"{self._store.url(key)}: missing, although this attempt is the one that counts; "
                "it was deleted since, so the job has to be run anew"
            ) from error
        try:
            outputs = decode_outputs(data)
        except ValueError as error:
            raise ShuffleError(f"{self._store.url(key)}: {error}; retry the job, which writes it anew") from error
        # Threads may overdraw the room by one object each.
        if self._cache_room >= len(data):
            self._cache_room -= len(data)
            self._cache[key] = outputs
        return outputs
