"""List the files that the items of `spec.inputsFrom` name, one after another, in a fixed order.

A listing is read a page at a time, and a manifest line by line, so that memory holds only the current page or line.
(Of a directory, memory holds the names in one folder.)  A file that two items name is listed twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from re import Pattern
from typing import Final
from urllib.parse import quote, unquote

from attrs import frozen

from kubemr.controller.inputs.access import Access, InputsError
from kubemr.controller.inputs.manifest import read_manifest, with_sizes
from kubemr.locks.effects import Json
from kubemr.resources.glob import compile_glob
from kubemr.storage import InvalidKeyError, NoSuchKeyError, NotSupportedError

PROGRESS_EVERY_KEYS: Final = 1000
"""After this many keys that match nothing, the caller gets control (a None)."""


@frozen
class InputFile:
    """A file; `size` in bytes is None if it is not known."""

    url: str
    size: int | None


def find_files(sources: Sequence[Json], access: Access, *, sizes: bool) -> Iterator[InputFile | None]:
    """Yield the files; with `sizes`, each has a size.  A None among them means only that the listing makes progress.

    Raises `InputsError` for an item that names nothing, and `StorageError` for a store that may answer later.
    """
    for index, source in enumerate(sources):
        ((member, address),) = source.items()
        path = f"spec.inputsFrom[{index}].{member}"
        access.check(path, address)
        count = 0
        try:
            for found in _files_of(path, member, address, access, sizes):
                count += found is not None
                yield found
        except (NoSuchKeyError, NotSupportedError, InvalidKeyError) as error:
            raise InputsError(path, address, str(error), "correct it, or what lies there") from error
        if not count:
            message = "lists nothing" if member == "manifest" else "matches no file"
            raise InputsError(path, address, message, "correct it; a job without work has `inputs: []`")


def _files_of(path: str, member: str, address: str, access: Access, sizes: bool) -> Iterator[InputFile | None]:
    if member == "manifest":
        listed = read_manifest(path, address, access)
        for entry in with_sizes(listed, access) if sizes else listed:
            yield InputFile(entry.url, entry.size)
        return
    if member == "prefix":
        yield from _list_files(access, address, None)
        return
    scheme, _, rest = address.partition("://")
    local = scheme == "file"
    begin, pattern = compile_glob(rest, unquote if local else str)
    yield from _list_files(access, f"{scheme}://{quote(begin) if local else begin}", pattern)


def _list_files(access: Access, address: str, pattern: Pattern[str] | None) -> Iterator[InputFile | None]:
    store, prefix = access.store(address)
    scheme, _, rest = address.partition("://")
    root = "/" if scheme == "file" else rest.partition("/")[0] + "/"
    for count, item in enumerate(store.list(prefix)):
        if pattern is None or pattern.fullmatch(root + item.key):
            yield InputFile(store.url(item.key), item.size)
        elif count % PROGRESS_EVERY_KEYS == 0:
            yield None
