"""Upload one object to S3, part by part.

At most one part is kept in memory; an object that fits into one part is sent by a single request.  A longer one is a
multipart upload, which S3 shows as an object only when it is completed.

A part has 8 MiB.  S3 allows 10,000 parts, so the size doubles after each thousand: 8 GiB are written with 8 MiB of
memory, 5 TiB, the largest object that S3 allows, with 4 GiB.  (While a part is sent, there is one more copy of it.)
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Protocol

from minio.datatypes import Part

from kubemr.storage.errors import StorageError
from kubemr.storage.retry import Retrier

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PART_SIZE = 8 * 1024 * 1024
PARTS_PER_SIZE = 1000


class UploadRequests(Protocol):
    """The requests of an upload.  Each is one attempt; failures are `StorageError`s."""

    def put_whole(self, data: bytes) -> None:
        """Write the object by one request."""

    def create(self) -> str:
        """Begin a multipart upload, and return its id."""

    def put_part(self, upload: str, number: int, data: bytes) -> str:
        """Send a part, and return its ETag."""

    def complete(self, upload: str, parts: list[Part]) -> None:
        """Make the object from its parts."""

    def is_complete(self, etag: str) -> bool:
        """Ask whether the object exists with this ETag."""

    def abort(self, upload: str) -> None:
        """Abort the upload and free its parts."""


class Upload(io.RawIOBase):
    """Receives bytes; `commit` makes the object from them, `abort` removes what was sent."""

    def __init__(self, requests: UploadRequests, retrier: Retrier, part_size: int = PART_SIZE) -> None:
        super().__init__()
        self._requests = requests
        self._retrier = retrier
        self._part_size = part_size
        self._buffer = bytearray()
        self._upload = ""
        self._parts: list[Part] = []
        self._over = False
        self._aborted = False
        self._failure: StorageError | None = None

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Take all of `data`, and send parts as they fill up."""
        view = memoryview(data).cast("B")
        if self._aborted:
            return len(view)  # from a buffer that is flushed after the abort
        if self._over:
            raise ValueError("the object is complete already: flush or close wrappers before the `with` block ends")
        taken = 0
        while taken < len(view):
            size = self._part_size << (len(self._parts) // PARTS_PER_SIZE)
            if len(self._buffer) >= size:
                self._send_part()
                continue
            piece = view[taken : taken + size - len(self._buffer)]
            self._buffer += piece
            taken += len(piece)
        return taken

    def _send_part(self) -> None:
        if not self._upload:
            self._upload = self._retrier.call(self._requests.create)
        number, data = len(self._parts) + 1, bytes(self._buffer)
        self._buffer.clear()
        try:
            etag = self._retrier.call(lambda: self._requests.put_part(self._upload, number, data))
        except StorageError as error:
            self._failure = error
            raise
        self._parts.append(Part(number, etag))

    def commit(self) -> None:
        """Make the object visible."""
        if self._failure is not None:
            raise self._failure  # the writer may have ignored the error, but a part is missing
        if self._upload:
            self._send_part()
            self._retrier.call(_Completion(self._requests, self._upload, self._parts))
        else:
            data = bytes(self._buffer)
            self._retrier.call(lambda: self._requests.put_whole(data))
        self._buffer.clear()
        self._over = True

    def abort(self, because: BaseException) -> None:
        """Remove what was sent.  If that fails, add a note to `because`."""
        self._aborted = True
        self._buffer.clear()
        if not self._upload:
            return
        try:
            self._retrier.call(lambda: self._requests.abort(self._upload))
        except StorageError as error:
            because.add_note(
                f"The unfinished upload {self._upload} is still there ({error}); delete_prefix removes it."
            )


class _Completion:
    """The request that completes an upload.

    If its answer is lost, a repeated request finds no such upload, since it has become the object.  The ETag shows
    whether it has: the MD5 of the parts' MD5s, and their number.
    """

    def __init__(self, requests: UploadRequests, upload: str, parts: list[Part]) -> None:
        self._requests = requests
        self._upload = upload
        self._parts = parts
        self._attempted = False

    def __call__(self) -> None:
        again, self._attempted = self._attempted, True
        try:
            self._requests.complete(self._upload, self._parts)
        except StorageError:
            etag = self._etag()
            if not (again and etag and self._requests.is_complete(etag)):
                raise

    def _etag(self) -> str:
        try:
            digests = b"".join(bytes.fromhex(part.etag) for part in self._parts)
        except ValueError:
            return ""
        return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(self._parts)}"
