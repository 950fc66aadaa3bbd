"""What coordination needs of an object store: five calls.

`kubemr.storage` satisfies it; so does the simulation's store, which can crash between any two calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol


class ObjectInfo(Protocol):
    """An object in a listing."""

    @property
    def key(self) -> str:
        """Its key."""
        ...


class Store(Protocol):
    """Whole objects under keys.  Every call may block; missing keys raise."""

    def put(self, key: str, data: bytes) -> None:
        """Write an object, whole or not at all."""
        ...

    def writer(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Write an object piece by piece: it appears when the `with` block ends, or not at all."""
        ...

    def get(self, key: str) -> bytes:
        """Read an object."""
        ...

    def list(self, prefix: str) -> Iterable[ObjectInfo]:
        """The objects below a prefix, sorted by key."""
        ...

    def url(self, key: str) -> str:
        """The address of an object."""
        ...


def write(store: Store, key: str, pieces: Iterable[bytes]) -> None:
    """Write an object of which not all is in memory."""
    with store.writer(key) as target:
        for piece in pieces:
            target.write(piece)
