"""The shuffle: read a reduce task's inputs, the outputs of one partition from every map attempt that counts.

The index of the map stage names these attempts.
The outputs of an attempt are one small object with all partitions, so a process that runs several reduce tasks keeps
what it has read.
It fills a bounded cache, and then leaves the cache as it is.
The tasks read the same objects in the same order, so a cache that evicts the oldest entry would never have a hit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from kubemr.coordination.outputs import OUTPUTS, READERS, Index, decode_outputs
from kubemr.storage.errors import NoSuchKeyError

CACHE_BYTES: Final = 64 << 20
"""The size of the cache, measured by the objects in the store; in memory it is about three times as much."""
_AHEAD: Final = 256
"""How many objects to request in advance, so that a stage of 100,000 tasks does not make 100,000 futures."""


class ShuffleError(Exception):
    """Outputs that the index names are missing from the store, or they or the index are damaged."""


class Source(Protocol):
    """What the shuffle needs of an object store."""

    def get(self, key: str) -> bytes:
        """Read an object; raise `NoSuchKey` if it does not exist."""
        ...

    def url(self, key: str) -> str:
        """Return the object's address, for error messages."""
        ...


class ShuffleReader:
    """Reads the inputs of reduce tasks, one task after another; calls `progress` after each object."""

    def __init__(self, store: Source, progress: Callable[[], None], cache_bytes: int = CACHE_BYTES) -> None:
        self._store = store
        self._progress = progress
        self._cache_bytes = cache_bytes
        self._stage = ""
        self._index = Index(())
        self._cache: dict[str, Mapping[int, str]] = {}
        self._cache_room = cache_bytes

    def inputs(self, index_key: str, source: str, partition: int) -> list[str]:
        """Return the outputs of `partition`, in the order of the map tasks.

        Raise `ShuffleError` if the outputs of an attempt in the index are missing or damaged.
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
            raise ShuffleError(f"{self._store.url(key)}: {error}; retry the job, which writes it again") from error

    def _read_outputs(self, keys: list[str]) -> Iterator[Mapping[int, str]]:
        if all(key in self._cache for key in keys):
            yield from (self._cache[key] for key in keys)
            return
        with ThreadPoolExecutor(READERS, "kubemr-shuffle") as pool:
            for start in range(0, len(keys), _AHEAD):
                for outputs in pool.map(self._read_attempt, keys[start : start + _AHEAD]):
                    self._progress()
                    yield outputs

    def _read_attempt(self, key: str) -> Mapping[int, str]:
        cached = self._cache.get(key)
        if cached is not None:
            return cached
        try:
            data = self._store.get(key)
        except NoSuchKeyError as error:
            raise ShuffleError(
                f"{self._store.url(key)}: missing, although this attempt is the one that counts; "
                "it was deleted: create the job again"
            ) from error
        try:
            outputs = decode_outputs(data)
        except ValueError as error:
            raise ShuffleError(f"{self._store.url(key)}: {error}; retry the job, which writes it again") from error
        # Each thread may exceed the bound by one object.
        if self._cache_room >= len(data):
            self._cache_room -= len(data)
            self._cache[key] = outputs
        return outputs
