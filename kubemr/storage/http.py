"""Read objects from a web server: inputs such as https://tools.ietf.org/rfc/rfc4501.txt.

- Redirects are followed.
- A read that breaks off is resumed by range, if the server identifies versions by an ETag or a date.
- A server that ignores ranges is supported, too: the reader skips the bytes before the offset.
- The bytes are those that the server stores; nothing is decompressed.
- Proxies come from the environment (`https_proxy`, `no_proxy`).
"""

from __future__ import annotations

import http.client
import ssl
import string
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import BinaryIO, NoReturn
from urllib.parse import quote, urldefrag, urlsplit

from attrs import field, frozen

from kubemr.storage import transfer
from kubemr.storage.base import ObjectInfo, Path
from kubemr.storage.errors import (
    AccessDeniedError,
    NoSuchKeyError,
    NotSupportedError,
    ObjectChangedError,
    ReadOnlyError,
    StorageError,
    TransientError,
)
from kubemr.storage.keys import check_key, check_start
from kubemr.storage.resuming import Body, ResumingReader, buffered
from kubemr.storage.retry import Retrier

TIMEOUT = 60.0
"""Seconds to wait for a connection, and for the next bytes."""

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_SAFE = string.punctuation
"""Characters of a user's address that are not quoted.  Only spaces and letters beyond ASCII are quoted."""

_KINDS: dict[int, type[StorageError]] = {
    401: AccessDeniedError,
    403: AccessDeniedError,
    404: NoSuchKeyError,
    410: NoSuchKeyError,
    412: ObjectChangedError,
}


def _opener() -> urllib.request.OpenerDirector:
    """Return urllib's default opener without ftp, file and data addresses: a redirect must not reach local files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


@frozen
class HttpObject:
    """An address.  Each request is one attempt; failures are `StorageError`s that name `operation`."""

    url: str
    operation: str
    retrier: Retrier = field(factory=Retrier)
    opener: urllib.request.OpenerDirector = field(factory=_opener)

    @property
    def _host(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")

    @property
    def _path(self) -> str:
        # Without the query, which may hold a signature.
        return urlsplit(self.url).path or "/"

    def _error(self, kind: type[StorageError], problem: str, remedy: str = "") -> StorageError:
        return kind(self.operation, self._host, self._path, problem, remedy)

    def broken(self, problem: str) -> TransientError:
        """Return the error for a connection that ended early."""
        return TransientError(self.operation, self._host, self._path, problem)

    def request(self, method: str, headers: dict[str, str]) -> _Answer:
        """Send a request."""
        url = quote(urldefrag(self.url).url, safe=_SAFE)
        request = urllib.request.Request(
            url, method=method, headers={"Accept-Encoding": "identity", "User-Agent": "kubemr", **headers}
        )
        try:
            return _Answer(self.opener.open(request, timeout=TIMEOUT))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failed(error) from error

    def _refused(self, error: urllib.error.HTTPError) -> StorageError:
        problem = f"HTTP {error.code} {error.reason}"
        if error.code == 416:
            return _RangeAfterEndError(self.operation, self._host, self._path, problem)
        if error.code not in _TRANSIENT:
            return self._error(_KINDS.get(error.code, StorageError), problem)
        transient = self.broken(problem)
        wait = error.headers.get("Retry-After", "")
        transient.retry_after = float(wait) if wait.isdigit() else None
        return transient

    def _failed(self, error: Exception) -> StorageError:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            remedy = "check the server's certificate, or name the authority's file in SSL_CERT_FILE"
            return self._error(StorageError, f"no trusted TLS connection: {reason}", remedy)
        if isinstance(reason, str | ValueError | http.client.InvalidURL):
            return self._error(StorageError, str(reason), "correct the address")
        return self.broken(f"{type(reason).__name__}: {reason}")

    def get(self, offset: int, version: str | None) -> Body:
        """Return the object from `offset` on; nothing if it ends before."""
        headers = {}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        if version is not None and version.startswith('"'):  # a strong ETag; a weak one is invalid in If-Match
            headers["If-Match"] = version
        try:
            answer = self.request("GET", headers)
        except _RangeAfterEndError:
            return Body(lambda size: b"", lambda: None, version, offset)
        if version is not None and answer.version != version:
            answer.close()
            raise self._error(ObjectChangedError, f"version {version} was being read, and now it is {answer.version}")
        end = None if answer.length is None else offset + answer.length
        if headers.get("Range") and answer.status != 206:
            end = self._skip(answer, offset)
        return Body(partial(self._read, answer), answer.close, answer.version, end)

    def _skip(self, answer: _Answer, offset: int) -> int | None:
        """Read up to `offset` if the server sends the whole object, and return where the object ends, or None."""
        left = offset
        while left:
            data = self._read(answer, min(left, transfer.COPY_SIZE))
            if not data:
                break
            left -= len(data)
        return offset if left else answer.length

    def _read(self, answer: _Answer, size: int) -> bytes:
        try:
            return answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise self.broken(f"{type(error).__name__}: {error}") from error

    def open(self, start: int = 0) -> ResumingReader:
        """Return the bytes from `start` on, as a stream."""
        return ResumingReader(self.get, self.broken, self.retrier, start)

    def size(self) -> int:
        """Return the object's size from HEAD, or by requesting one byte if the server does not report it."""
        try:
            answer = self.request("HEAD", {})
        except (NoSuchKeyError, TransientError):
            raise
        except StorageError:
            pass  # some servers, and addresses signed for GET, refuse HEAD alone
        else:
            answer.close()
            if answer.length is not None:
                return answer.length
        try:
            answer = self.request("GET", {"Range": "bytes=0-0"})
        except _RangeAfterEndError:
            return 0
        try:
            if answer.total is not None:
                return answer.total
            size = 0
            while data := self._read(answer, transfer.COPY_SIZE):
                size += len(data)
            return size
        finally:
            answer.close()


class _RangeAfterEndError(StorageError):
    """The requested range begins after the object's end."""


class _Answer:
    """The answer of a server."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.read = response.read
        self.close = response.close
        self.status = response.status
        self.version: str | None = response.headers.get("ETag") or response.headers.get("Last-Modified")
        length = response.headers.get("Content-Length", "")
        self.length = int(length) if length.isdigit() else None
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        self.total = int(total) if total.isdigit() else self.length


class HttpStore:
    """The objects below the address `base`, e.g. `https://host/folder/`.  They can be neither written nor listed."""

    def __init__(self, base: str, retrier: Retrier | None = None) -> None:
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{base!r} is not an address of a web server: write https://host/folder/")
        if parts.query or parts.fragment:
            raise ValueError(f"{base!r} has a query or a fragment, to which no key can be appended")
        self.base = base.rstrip("/") + "/"
        self._retrier = retrier or Retrier()
        self._opener = _opener()

    def __repr__(self) -> str:
        return f"HttpStore({self.base!r})"

    def _object(self, operation: str, key: str) -> HttpObject:
        check_key(operation, self.base, key)
        return HttpObject(self.base + quote(key), operation, self._retrier, self._opener)

    def get(self, key: str) -> bytes:
        """Read an object."""
        with self._object("get", key).open() as stream:
            return stream.readall()

    def reader(self, key: str, start: int = 0) -> BinaryIO:
        """Open an object for reading."""
        check_start(start)
        return buffered(self._object("reader", key).open(start))

    def get_file(self, key: str, path: Path) -> None:
        """Store an object as a local file."""
        transfer.get_file(self, key, path)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return an object's key and size, or None if it does not exist."""
        try:
            return ObjectInfo(key, self._retrier.call(self._object("stat", key).size))
        except NoSuchKeyError:
            return None

    def url(self, key: str) -> str:
        """Return the address of an object."""
        return self._object("url", key).url

    def check(self) -> None:
        """Check that the server answers.  Any answer will do: a web server need not have a page for a folder."""
        try:
            self._retrier.call(
                lambda: HttpObject(self.base, "check", self._retrier, self._opener).request("HEAD", {}).close()
            )
        except TransientError:
            raise
        except StorageError:
            return

    def _read_only(self, operation: str, key: str) -> NoReturn:
        raise ReadOnlyError(operation, self.base, key, "a web server is read-only here")

    def put(self, key: str, data: bytes) -> None:
        """Raise `ReadOnlyError`."""
        self._read_only("put", key)

    def put_file(self, key: str, path: Path) -> None:
        """Raise `ReadOnlyError`."""
        self._read_only("put_file", key)

    def writer(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Raise `ReadOnlyError`."""
        self._read_only("writer", key)

    def delete(self, key: str) -> None:
        """Raise `ReadOnlyError`."""
        self._read_only("delete", key)

    def delete_prefix(self, prefix: str, keep: Callable[[str], bool] | None = None) -> int:
        """Raise `ReadOnlyError`."""
        self._read_only("delete_prefix", prefix)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Raise `NotSupportedError`."""
        raise NotSupportedError(
            "list", self.base, prefix, "web servers cannot be listed", "name the addresses one by one"
        )
