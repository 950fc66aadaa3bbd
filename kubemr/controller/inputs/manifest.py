"""An input manifest: a file that lists addresses, one per line, each with a tab and its size in bytes if it is known.

Blank lines, and lines that begin with `#`, are ignored.
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
STAT_THREADS: Final = 16
"""Files whose size is requested at the same time."""
_ADDRESS: Final = re.compile(r"(s3|file|https?)://[^\t]+")
_WINDOW: Final = 4 * STAT_THREADS


@frozen
class ManifestEntry:
    """One address, and the number of its line in the manifest that the field `path` names."""

    url: str
    size: int | None
    path: str
    manifest: str
    line: int


def read_manifest(path: str, manifest: str, access: Access) -> Iterator[ManifestEntry]:
    """Yield the entries of the manifest.  Raises `InputsError` that quotes the first malformed line."""
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
            wrong = _problem_of(text, url, tab, size)
            if wrong:
                quoted = raw[:QUOTED].decode("utf-8", "backslashreplace").rstrip("\r\n")
                raise _line_error(ManifestEntry(quoted, None, path, manifest, number), wrong)
            yield ManifestEntry(url, int(size) if tab else None, path, manifest, number)


def with_sizes(found: Iterable[ManifestEntry], access: Access) -> Iterator[ManifestEntry]:
    """Yield the entries with their sizes, which are read from storage if the manifest does not have them."""
    with ThreadPoolExecutor(STAT_THREADS, "kubemr-sizes") as pool:
        left = iter(found)
        while window := list(islice(left, _WINDOW)):
            yield from pool.map(lambda entry: _with_size(entry, access), window)


def _with_size(entry: ManifestEntry, access: Access) -> ManifestEntry:
    if entry.size is not None:
        return entry
    try:
        access.check(entry.path, entry.url)
    except InputsError as error:
        message = "names no size, and the operator may not read there with its own permissions"
        raise _line_error(entry, message, "append a tab and the size in bytes") from error
    store, key = access.store(entry.url)
    found = store.stat(key)
    if found is None:
        raise _line_error(entry, "names a file that is not there", "correct the line, or remove it")
    return evolve(entry, size=found.size)


def _problem_of(text: str | None, url: str, tab: str, size: str) -> str:
    """Return what is wrong with a line that has this text; empty if nothing is."""
    if text is None:
        return f"is not UTF-8 text of at most {LONGEST} bytes"
    if not _ADDRESS.fullmatch(url):
        return "is not an address that begins with s3://, file:// or http(s)://"
    if tab and not (size.isascii() and size.isdigit()):
        return "has no number of bytes after its tab"
    if tab and int(size) > MAX_BYTES:
        return f"has a size of more than {MAX_BYTES:,} bytes, which no file has"
    return ""


def _text(raw: bytes) -> str | None:
    if len(raw) > LONGEST:
        return None
    try:
        return raw.decode().strip(" \r\n")
    except UnicodeDecodeError:
        return None


def _line_error(entry: ManifestEntry, message: str, remedy: str = "correct the line") -> InputsError:
    return InputsError(entry.path, entry.manifest, f"line {entry.line} {message}: {entry.url[:QUOTED]!r}", remedy)
