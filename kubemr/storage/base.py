"""The protocol of object stores: whole objects under keys, read and written at once or as streams.

An object appears whole or not at all: it is invisible until its writer completes it, whichever process crashes.
Writing a key again replaces the object.  A reader that began before reads on in the old object, or fails
(`ObjectChangedError`); it never returns a mixture.

All calls block; all failures are in `kubemr.storage.errors`.  Threads may share a store, and so may both sides of a
fork.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from os import PathLike
from typing import BinaryIO, Protocol, TypeAlias, runtime_checkable

from attr import frozen

Path: TypeAlias = str | PathLike[str]


@frozen
class ObjectInfo:
    """An object in a listing; `size` is in bytes."""

    key: str
    size: int


@runtime_checkable
class ObjectStore(Protocol):
    """An object store.  `kubemr.storage.keys` defines valid keys; any other key raises `InvalidKeyError`."""

    def put(self, key: str, data: bytes) -> None:
        """Write an object.  To repeat the call does no harm."""
        ...

    def get(self, key: str) -> bytes:
        """Read an object.  Raises `NoSuchKeyError`."""
        ...

    def reader(self, key: str, start: int = 0) -> BinaryIO:
        """Open an object for reading from offset `start` to its end, to be used by `with`.

        Raises `NoSuchKeyError` at once.  An offset at or after the object's end reads nothing and is no error; a
        negative one raises ValueError.  The stream cannot seek.  It needs little memory, however large the object is.
        """
        ...

    def writer(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Write an object in chunks: `with store.writer(key) as stream: stream.write(…)`.

        The object appears when the block ends without an exception.  With an exception, nothing appears, uploaded parts
        are removed, and the exception is raised again.  Wrappers (text, gzip) must be flushed or closed within the
        block.
        """
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file as an object."""
        ...

    def get_file(self, key: str, path: Path) -> None:
        """Store an object as a local file, which appears whole or not at all."""
        ...

    def stat(self, key: str) -> ObjectInfo | None:
        """Return an object's key and size, or None if it does not exist."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with `prefix`, sorted by the UTF-8 bytes of their keys.

        The listing is read lazily, a page at a time.  Objects that are created or deleted in the meantime may be
        missing or not.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object.  To remove a missing object is no error."""
        ...

    def delete_prefix(self, prefix: str, keep: Callable[[str], bool] | None = None) -> int:
        """Remove all objects in the folder `prefix`, with or without its slash, and return their number.

        Objects for whose keys `keep` returns true stay, and are not counted.  Unfinished uploads in the folder are
        removed, too, and their writers fail.  The empty prefix raises `InvalidKeyError`.
        """
        ...

    def url(self, key: str) -> str:
        """Return the address of an object: `s3://bucket/key`, `file:///directory/key`, `https://host/key`."""
        ...

    def check(self) -> None:
        """Check cheaply that the store exists and can be written to.  Raises the error that says why not."""
        ...
