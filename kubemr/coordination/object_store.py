"""The interface of an object store that coordination uses: five methods.

The stores of `kubemr.storage` implement it, and so does the simulation's store, which can crash between two calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol


class ObjectInfo(Protocol):
    """An object in a listing."""

    @property
    def key(self) -> str:
        """The object's key."""
        ...


class Store(Protocol):
    """Whole objects under keys.

    Every call may block, and reading a missing key raises.
    """

    def put(self, key: str, data: bytes) -> None:
        """Write a whole object; after a failure there is no partial object."""
        ...

    def writer(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Write an object in chunks: it appears when the `with` block ends, or not at all."""
        ...

    def get(self, key: str) -> bytes:
        """Read a whole object."""
        ...

    def list(self, prefix: str) -> Iterable[ObjectInfo]:
        """List the objects below a prefix, sorted by key."""
        ...

    def url(self, key: str) -> str:
        """Return the address of an object."""
        ...


def write(store: Store, key: str, pieces: Iterable[bytes]) -> None:
    """Write an object in chunks, without holding all of it in memory."""
    with store.writer(key) as target:
        for piece in pieces:
            target.write(piece)
