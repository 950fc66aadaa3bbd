"""The inputs of map tasks where the spec does not list them: chunks of a plan, in the job's storage.

A worker goes through neighbouring tasks, so it keeps the chunk that it has read last.
"""

from __future__ import annotations

import json

from kubemr.storage.errors import NoSuchKeyError
from kubemr.worker.input.shuffle import Source


class InputChunkError(Exception):
    """A chunk that the plan promises is not in the store, or is damaged."""


class InputChunks:
    """Reads inputs by the key of their chunk and their place in it."""

    def __init__(self, store: Source) -> None:
        self._store = store
        self._key = ""
        self._texts: list[str] = []

    def read_input(self, key: str, position: int) -> str:
        """One input.  Raises `InputsError`: a chunk that is missing is never taken for no input."""
        if self._key != key:
            self._texts, self._key = self._read_chunk(key), key
        try:
            return self._texts[position]
        except IndexError:
            raise InputChunkError(
                f"{self._store.url(key)}: has {len(self._texts)} inputs and no number {position}; it was changed since"
                " the job was deployed: create the job anew"
            ) from None

    def _read_chunk(self, key: str) -> list[str]:
        try:
            texts = json.loads(self._store.get(key))
        except NoSuchKeyError as error:
            raise InputChunkError(
                f"{self._store.url(key)}: missing, although the job's inputs are listed there; it was deleted since,"
                " so the job has to be created anew"
            ) from error
        except ValueError as error:
            raise InputChunkError(f"{self._store.url(key)}: {error}; create the job anew") from error
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InputChunkError(f"{self._store.url(key)}: is no list of strings; create the job anew")
        return texts
