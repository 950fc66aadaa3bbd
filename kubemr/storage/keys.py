"""Define valid keys.  They are the same in every store, so that a program that runs on one store runs on all.

A key is a relative path of segments divided by "/", such as `job-x/0/map/17/1-w0-abc123/outputs.json`.  The bounds are
those of the narrowest store: S3 allows 1,024 bytes, file systems 255 per segment.  Stores compare keys by their UTF-8
bytes, and list them in that order.
"""

from __future__ import annotations

from typing import Final

from kubemr.storage.errors import InvalidKeyError

KEY_BYTES: Final = 1024
SEGMENT_BYTES: Final = 255

PART_MARK: Final = ".kubemr-part-"
"""The beginning of the names of unfinished files.  No segment of a key may begin with it."""


def problem(key: str) -> str:
    """Return what is wrong with `key`, or the empty string."""
    if not key:
        return "it is empty"
    if key.startswith("/"):
        return "it begins with a slash"
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in key):
        return "it contains a control character"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode (a lone surrogate)"
    if size > KEY_BYTES:
        return f"it has {size} bytes, more than {KEY_BYTES}"
    for segment in key.split("/"):
        if not segment:
            return "it has an empty segment (two slashes in a row, or one at the end)"
        if segment in (".", ".."):
            return f"it has the segment {segment!r}"
        if len(segment.encode()) > SEGMENT_BYTES:
            return f"its segment {segment[:20]!r}… has more than {SEGMENT_BYTES} bytes"
        if segment.startswith(PART_MARK):
            return f"segments that begin with {PART_MARK!r} are kept for unfinished files"
    return ""


def check_key(operation: str, store: str, key: str) -> None:
    """Raise `InvalidKeyError` unless `key` is valid."""
    wrong = problem(key)
    if wrong:
        raise InvalidKeyError(operation, store, key or "(empty)", f"not a key: {wrong}")


def check_prefix(operation: str, store: str, prefix: str) -> None:
    """Raise `InvalidKeyError` unless some key begins with `prefix`, as every key does with the empty one."""
    wrong = problem(prefix.removesuffix("/")) if prefix else ""
    if wrong:
        raise InvalidKeyError(operation, store, prefix, f"not a prefix of a key: {wrong}")


def check_folder(operation: str, store: str, prefix: str) -> str:
    """Return the prefix of a whole folder, with its slash, so that deleting `job-1` never touches `job-10`."""
    if not prefix.strip("/"):
        raise InvalidKeyError(
            operation, store, prefix or "(empty)", "that would be the whole store", "name a folder below it"
        )
    check_prefix(operation, store, prefix)
    return prefix if prefix.endswith("/") else prefix + "/"


def check_start(start: int) -> None:
    """Raise ValueError for a negative offset: unlike in Python, it does not count from the end."""
    if start < 0:
        raise ValueError(f"an object is read from offset 0 or later, not start={start}")
