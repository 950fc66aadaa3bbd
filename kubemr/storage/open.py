"""Open the store or the stream that an address or a worker's environment names.

| address | store |
| --- | --- |
| `s3://bucket/prefix` | S3, with the service and keys of the `KUBEMR_S3_*` variables |
| `http://…`, `https://…` | a web server, read-only |
| `file:///directory`, or a path | a directory |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, unquote, urlsplit

from kubemr.storage.base import ObjectStore
from kubemr.storage.directory import DirectoryStore, translate_os_errors
from kubemr.storage.errors import NoSuchKeyError
from kubemr.storage.s3_settings import S3Settings

if TYPE_CHECKING:
    from kubemr.storage.retry import Retrier
    from kubemr.storage.s3 import S3Store

_SCHEMES = "s3://bucket/key, https://host/path, file:///path or a plain path"


def store_from_environment(environ: Mapping[str, str] | None = None, retrier: Retrier | None = None) -> ObjectStore:
    """Return the object store of the job, from `KUBEMR_STORAGE_URL` or the `KUBEMR_S3_*` variables (docs/protocol.md).

    Raises ValueError that names the variable which is missing or wrong.
    """
    environ = os.environ if environ is None else environ
    url = environ.get("KUBEMR_STORAGE_URL", "")
    if url:
        try:
            return open_store(url, environ, retrier)
        except ValueError as error:
            raise ValueError(f"KUBEMR_STORAGE_URL: {error}") from None
    bucket = environ.get("KUBEMR_S3_BUCKET_NAME", "")
    if not bucket:
        raise ValueError("no object store: set KUBEMR_S3_BUCKET_NAME (and KUBEMR_S3_ENDPOINT, …) or KUBEMR_STORAGE_URL")
    return _s3(bucket, environ.get("KUBEMR_S3_BUCKET_PREFIX", ""), environ, retrier)


def open_store(url: str, environ: Mapping[str, str] | None = None, retrier: Retrier | None = None) -> ObjectStore:
    """Return the store at an address.  Raises ValueError for an address that no store can have."""
    scheme, rest = _split(url)
    if scheme == "s3":
        bucket, _, prefix = rest.partition("/")
        return _s3(bucket, prefix, os.environ if environ is None else environ, retrier)
    if scheme in ("http", "https"):
        from kubemr.storage.http import HttpStore

        return HttpStore(url, retrier)
    return DirectoryStore(rest)


def open_input(
    url: str, environ: Mapping[str, str] | None = None, retrier: Retrier | None = None, *, start: int = 0
) -> BinaryIO:
    """Open an address for reading, from offset `start` on, to be used by `with`.

    It serves the inputs of a map task, which are often addresses, and the outputs that a reducer reads.  Raises a
    `StorageError` if nothing is there.
    """
    scheme, rest = _split(url)
    if scheme == "s3":
        bucket, _, key = rest.partition("/")
        return _s3(bucket, "", os.environ if environ is None else environ, retrier).reader(key, start)
    if scheme in ("http", "https"):
        from kubemr.storage.http import HttpObject
        from kubemr.storage.resuming import buffered
        from kubemr.storage.retry import Retrier

        return buffered(HttpObject(url, "open", retrier or Retrier()).open(start))
    stream = _open_file(rest)
    stream.seek(start)
    return stream


def size_of(stream: BinaryIO) -> int | None:
    """Return the size of what a stream of `open_input` or of a store's `reader` reads; None if it is unknown.

    It sends no request: only the answer that is being read is used.
    """
    from kubemr.storage.resuming import ResumingReader

    raw = getattr(stream, "raw", None)
    if isinstance(raw, ResumingReader):
        return raw.end
    try:
        return os.fstat(stream.fileno()).st_size
    except OSError:
        return None


def fetch(url: str, environ: Mapping[str, str] | None = None, retrier: Retrier | None = None) -> bytes:
    """Read all bytes at an address."""
    with open_input(url, environ, retrier) as stream:
        return stream.read()


def _open_file(path: str) -> BinaryIO:
    folder = "file://" + quote(os.path.dirname(os.path.abspath(path)))
    with translate_os_errors("open", folder, path):
        try:
            return open(path, "rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NoSuchKeyError("open", folder, path, "there is no such file") from None


def _split(url: str) -> tuple[str, str]:
    """Return the scheme, which is empty for files, and the rest of the address: for files the path."""
    if "://" not in url:
        if not url:
            raise ValueError(f"the address is empty; write {_SCHEMES}")
        return "", url
    scheme, rest = url.split("://", 1)
    scheme = scheme.lower()
    if scheme == "file":
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise ValueError(f"{url!r} names a host or no path; write file:///an/absolute/path")
        return "", unquote(parts.path)
    if scheme not in ("s3", "http", "https"):
        raise ValueError(f"{url!r} has the unknown scheme {scheme!r}; write {_SCHEMES}")
    return scheme, rest


def _s3(bucket: str, prefix: str, environ: Mapping[str, str], retrier: Retrier | None) -> S3Store:
    if not bucket:
        raise ValueError("the s3 address has no bucket; write s3://bucket/key")
    from kubemr.storage.s3 import S3Store

    return S3Store(bucket, prefix, S3Settings.from_environment(environ), retrier)
