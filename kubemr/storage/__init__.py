"""Object stores behind one protocol: S3, a plain directory, read-only http(s).

- `ObjectStore` is the protocol, and `errors` defines the errors.
- `open` finds the store for an address or for a worker's environment.

The names below are loaded when they are first used (PEP 562): a worker whose store is a directory never imports an S3
library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubemr.storage.base import ObjectInfo, ObjectStore
    from kubemr.storage.directory import DirectoryStore
    from kubemr.storage.errors import (
        AccessDeniedError,
        InvalidKeyError,
        NoSuchBucketError,
        NoSuchKeyError,
        NotSupportedError,
        ObjectChangedError,
        ReadOnlyError,
        StorageError,
        StorageFullError,
        TransientError,
    )
    from kubemr.storage.http import HttpStore
    from kubemr.storage.open import fetch, open_input, open_store, store_from_environment
    from kubemr.storage.retry import Retrier
    from kubemr.storage.s3 import S3Store
    from kubemr.storage.s3_settings import S3Settings

__all__ = [
    "AccessDeniedError",
    "DirectoryStore",
    "HttpStore",
    "InvalidKeyError",
    "NoSuchBucketError",
    "NoSuchKeyError",
    "NotSupportedError",
    "ObjectChangedError",
    "ObjectInfo",
    "ObjectStore",
    "ReadOnlyError",
    "Retrier",
    "S3Settings",
    "S3Store",
    "StorageError",
    "StorageFullError",
    "TransientError",
    "fetch",
    "open_input",
    "open_store",
    "store_from_environment",
]

_HOMES = {
    "DirectoryStore": "directory",
    "HttpStore": "http",
    "ObjectInfo": "base",
    "ObjectStore": "base",
    "Retrier": "retry",
    "S3Settings": "s3_settings",
    "S3Store": "s3",
    "fetch": "open",
    "open_input": "open",
    "open_store": "open",
    "store_from_environment": "open",
}
"""The module of each lazy name; all others are in `errors`."""


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use, and keep it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it exports {', '.join(__all__)}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the lazy names too, for completion in a shell."""
    return sorted(set(globals()) | set(__all__))
