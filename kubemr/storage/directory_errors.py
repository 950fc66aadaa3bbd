"""What the operating system's refusals mean for an object store."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from kubemr.storage.errors import AccessDenied, BadKey, ReadOnly, StorageError, StorageFull

_BY_ERRNO: dict[int, type[StorageError]] = {
    errno.EACCES: AccessDenied,
    errno.EPERM: AccessDenied,
    errno.EROFS: ReadOnly,
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
    errno.EFBIG: StorageFull,
    errno.ENAMETOOLONG: BadKey,
    errno.EILSEQ: BadKey,
}

_REMEDIES: dict[type[StorageError], str] = {
    AccessDenied: "check the owner and the mode of the directory and of what is in it",
    ReadOnly: "the file system is mounted read-only: mount it writable, or use another directory",
}


@contextmanager
def translated(operation: str, store: str, key: str) -> Iterator[None]:
    """Turn an OSError raised within into the `StorageError` that says what it means."""
    try:
        yield
    except OSError as error:
        raise of(error, operation, store, key) from error


def of(error: OSError, operation: str, store: str, key: str) -> StorageError:
    """The `StorageError` for an OSError."""
    kind = _BY_ERRNO.get(error.errno or 0, StorageError)
    code = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return kind(operation, store, key, f"{error.strerror or error} ({code})", _REMEDIES.get(kind, ""))
