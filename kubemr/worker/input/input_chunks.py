"""Read the inputs of map tasks that the spec does not list: from chunks of the split plan, in the job's storage.

A worker runs neighbouring tasks, so it keeps the chunk that it has read last.
"""

from __future__ import annotations

import json

from kubemr.storage.errors import NoSuchKeyError
from kubemr.worker.input.shuffle import Source


class InputChunkError(Exception):
    """A chunk of the split plan is missing from the store or damaged."""


class InputChunks:
    """Reads inputs by the key of their chunk and their position in it."""

    def __init__(self, store: Source) -> None:
        self._store = store
        self._key = ""
        self._texts: list[str] = []

    def read_input(self, key: str, position: int) -> str:
        """Return one input; raise `InputChunkError` if its chunk is missing or damaged."""
        if self._key != key:
            self._texts, self._key = self._read_chunk(key), key
        try:
            return self._texts[position]
        except IndexError:
            raise InputChunkError(
                f"{self._store.url(key)}: has {len(self._texts)} inputs and no number {position}; it was changed after"
                " the job was deployed: create the job again"
            ) from None

    def _read_chunk(self, key: str) -> list[str]:
        try:
            texts = json.loads(self._store.get(key))
        except NoSuchKeyError as error:
            raise InputChunkError(
                f"{self._store.url(key)}: missing, although the job's inputs are listed there; it was deleted:"
                " create the job again"
            ) from error
        except ValueError as error:
            raise InputChunkError(f"{self._store.url(key)}: {error}; create the job again") from error
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InputChunkError(f"{self._store.url(key)}: is not a list of strings; create the job again")
        return texts
