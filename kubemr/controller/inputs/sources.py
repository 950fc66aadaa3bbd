"""What is there: the files that the items of `spec.inputsFrom` lead to, one after another, in an order of their own.

A listing is read as it comes, a page at a time, and a manifest line by line: nothing is held but what is being looked
at.  (Of a directory, the names in one folder are.)  A file that two items lead to is there twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from re import Pattern
from typing import Final
from urllib.parse import quote, unquote

from attrs import frozen

from kubemr.controller.inputs.access import Access, InputsError
from kubemr.controller.inputs.manifest import entries, sized
from kubemr.locks.effects import Json
from kubemr.resources.glob import compile_glob
from kubemr.storage import InvalidKeyError, NoSuchKeyError, NotSupportedError

BEAT: Final = 1000
"""After so many keys that match nothing, whoever asks may look around."""


@frozen
class Found:
    """A file; `size` in bytes is None where nobody has said it."""

    url: str
    size: int | None


def find(sources: Sequence[Json], access: Access, *, sizes: bool) -> Iterator[Found | None]:
    """The files.  With `sizes` each has one.  None, from time to time, only says that this is getting on.

    Raises `InputsError` for an item that leads to nothing, and `StorageError` for a store that may answer later.
    """
    for index, source in enumerate(sources):
        ((member, address),) = source.items()
        path = f"spec.inputsFrom[{index}].{member}"
        access.check(path, address)
        count = 0
        try:
            for found in _of(path, member, address, access, sizes):
                count += found is not None
                yield found
        except (NoSuchKeyError, NotSupportedError, InvalidKeyError) as error:
            raise InputsError(path, address, str(error), "correct it, or what lies there") from error
        if not count:
            message = "lists nothing" if member == "manifest" else "there is nothing like that"
            raise InputsError(path, address, message, "correct it; a job without work has `inputs: []`")


def _of(path: str, member: str, address: str, access: Access, sizes: bool) -> Iterator[Found | None]:
    if member == "manifest":
        listed = entries(path, address, access)
        for entry in sized(listed, access) if sizes else listed:
            yield Found(entry.url, entry.size)
        return
    if member == "prefix":
        yield from _listed(access, address, None)
        return
    scheme, _, rest = address.partition("://")
    local = scheme == "file"
    begin, pattern = compile_glob(rest, unquote if local else str)
    yield from _listed(access, f"{scheme}://{quote(begin) if local else begin}", pattern)


def _listed(access: Access, address: str, pattern: Pattern[str] | None) -> Iterator[Found | None]:
    store, prefix = access.store(address)
    scheme, _, rest = address.partition("://")
    root = "/" if scheme == "file" else rest.partition("/")[0] + "/"
    for count, item in enumerate(store.list(prefix)):
        if pattern is None or pattern.fullmatch(root + item.key):
            yield Found(store.url(item.key), item.size)
        elif count % BEAT == 0:
            yield None
