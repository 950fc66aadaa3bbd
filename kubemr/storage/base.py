"""What every object store can do: whole objects under keys, read and written at once or as streams.

An object appears whole or not at all: it is invisible until its writer completes it, whichever process crashes.
Writing a key again replaces the object.  A reader that has begun before reads on in the old object, or fails
(`ObjectChangedError`); it never sees a mixture.
All calls block; all failures are `kubemr.storage.errors`.  Threads may share a store, and so may both sides of a fork.
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
    """An object as listings show it; `size` is in bytes."""

    key: str
    size: int


@runtime_checkable
class ObjectStore(Protocol):
    """An object store.  For what a key may look like see `kubemr.storage.keys`; another raises `InvalidKeyError`."""

    def put(self, key: str, data: bytes) -> None:
        """Write an object.  It may be repeated: the same call twice is the same as once."""
        ...

    def get(self, key: str) -> bytes:
        """Read an object; raises `NoSuchKeyError`."""
        ...

    def reader(self, key: str, start: int = 0) -> BinaryIO:
        """Open an object for reading from offset `start` to its end, to be used by `with`.

        Raises `NoSuchKeyError` at once.  From the object's end on there is nothing to read, which is no error.  A
        negative `start` raises ValueError.  The stream cannot seek.  It needs little memory however large the object.
        """
        ...

    def writer(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Write an object piece by piece: `with store.writer(key) as stream: stream.write(…)`.

        The object appears when the block ends without an exception.  With one, nothing appears, what was uploaded is
        removed, and the exception goes on.  Wrappers (text, gzip) have to be flushed or closed within the block.
        """
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file as an object."""
        ...

    def get_file(self, key: str, path: Path) -> None:
        """Store an object as a local file, which appears whole or not at all."""
        ...

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known of an object, or None if it does not exist."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with `prefix`, sorted by the UTF-8 bytes of their keys.

        Read lazily, a page at a time: objects that come or go meanwhile may or may not be there.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens where there is none."""
        ...

    def delete_prefix(self, prefix: str, keep: Callable[[str], bool] | None = None) -> int:
        """Remove all objects in the folder `prefix` (its slash at the end may be left out); how many there were.

        Objects for whose keys `keep` is true stay, and are not counted.
        Unfinished uploads below it are removed too, and their writers fail.  The empty prefix raises `InvalidKeyError`.
        """
        ...

    def url(self, key: str) -> str:
        """Return the address of an object: `s3://bucket/key`, `file:///directory/key`, `https://host/key`."""
        ...

    def check(self) -> None:
        """Make sure, cheaply, that the store is there and can be written to, or raise the error that says why not."""
        ...
