"""A manifest: an object that lists addresses, one per line, each with a tab and its size in bytes if that is known.

Blank lines, and those that begin with `#`, say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from attrs import evolve, frozen

from kubemr.controller.inputs.access import Access, InputsError
from kubemr.resources.definitions.status import MAX_BYTES

LONGEST: Final = 4096
"""Bytes of a line."""
QUOTED: Final = 200
"""Characters of a line in an error."""
ASKED_AT_ONCE: Final = 16
"""Files whose size is asked for at the same time."""
_ADDRESS: Final = re.compile(r"(s3|file|https?)://[^\t]+")
_AHEAD: Final = 4 * ASKED_AT_ONCE


@frozen
class Entry:
    """One address, and the number of its line in the manifest that the field `path` names."""

    url: str
    size: int | None
    path: str
    manifest: str
    line: int


def entries(path: str, manifest: str, access: Access) -> Iterator[Entry]:
    """What the manifest lists.  Raises `InputsError` that quotes the first line which is wrong."""
    with access.open(manifest) as stream:
        number = 0
        while raw := stream.readline(LONGEST + 1):
            number += 1
            text = _text(raw)
            if text is not None and number == 1:
                text = text.removeprefix("\ufeff")
            if text == "" or (text is not None and text.startswith("#")):
                continue
            url, tab, size = (text or "").partition("\t")
            wrong = _what_is_wrong(text, url, tab, size)
            if wrong:
                quoted = raw[:QUOTED].decode("utf-8", "backslashreplace").rstrip("\r\n")
                raise _wrong(Entry(quoted, None, path, manifest, number), wrong)
            yield Entry(url, int(size) if tab else None, path, manifest, number)


def sized(found: Iterable[Entry], access: Access) -> Iterator[Entry]:
    """The entries with their sizes, which are asked for where the manifest does not say them."""
    with ThreadPoolExecutor(ASKED_AT_ONCE, "kubemr-sizes") as pool:
        left = iter(found)
        while window := list(islice(left, _AHEAD)):
            yield from pool.map(lambda entry: _ask(entry, access), window)


def _ask(entry: Entry, access: Access) -> Entry:
    if entry.size is not None:
        return entry
    try:
        access.check(entry.path, entry.url)
    except InputsError as error:
        message = "names no size, and the operator may not look there with rights of its own"
        raise _wrong(entry, message, "append a tab and the size in bytes") from error
    store, key = access.store(entry.url)
    found = store.stat(key)
    if found is None:
        raise _wrong(entry, "names a file that is not there", "correct the line, or remove it")
    return evolve(entry, size=found.size)


def _what_is_wrong(text: str | None, url: str, tab: str, size: str) -> str:
    """With a line that is this text; empty for nothing."""
    if text is None:
        return f"is no text in UTF-8 of at most {LONGEST} bytes"
    if not _ADDRESS.fullmatch(url):
        return "is no address that begins with s3://, file:// or http(s)://"
    if tab and not (size.isascii() and size.isdigit()):
        return "has no number of bytes after its tab"
    if tab and int(size) > MAX_BYTES:
        return f"says more than {MAX_BYTES:,} bytes after its tab, which no file has"
    return ""


def _text(raw: bytes) -> str | None:
    if len(raw) > LONGEST:
        return None
    try:
        return raw.decode().strip(" \r\n")
    except UnicodeDecodeError:
        return None


def _wrong(entry: Entry, message: str, remedy: str = "correct the line") -> InputsError:
    return InputsError(entry.path, entry.manifest, f"line {entry.line} {message}: {entry.url[:QUOTED]!r}", remedy)
