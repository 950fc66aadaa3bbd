"""Send the S3 requests that a store needs.  Each is one attempt; failures are `StorageError`s.

The caller decides about retries; every request is safe to repeat.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import urllib3
from attrs import frozen
from minio.datatypes import Part
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from kubemr.storage import s3_errors
from kubemr.storage.errors import NoSuchKeyError, TransientError
from kubemr.storage.resuming import Body
from kubemr.storage.s3_client import S3Client

PAGE = 1000
"""How many keys one request lists or deletes."""

_GONE = frozenset({"NoSuchKey", "NoSuchVersion"})
"""Answers to a delete which mean that the object does not exist."""


@frozen
class Unfinished:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload: str


@frozen
class S3Requests:
    """The requests for the object, or the prefix, `full` of a bucket.

    Errors name `operation`, `store` and `key`.  `full` is the key in the bucket, with the store's prefix.
    """

    client: S3Client
    bucket: str
    operation: str
    store: str
    key: str
    full: str

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        with s3_errors.translate_s3_errors(self.operation, self.store, self.key):
            try:
                yield
            except S3Error as error:
                answer = error.response
                if answer.status == 403 and self.client.adjust_clock(answer.headers):
                    raise self.broken(
                        "this machine's clock is wrong; requests are signed with the service's time from now on"
                    ) from error
                raise

    def broken(self, problem: str) -> TransientError:
        """Return the error for a failure that a retry may overcome."""
        return TransientError(self.operation, self.store, self.key, problem)

    # One object

    def get(self, offset: int, version: str | None) -> Body:
        """Return the object from `offset` on; nothing if it ends before."""
        headers: dict[str, str | list[str] | tuple[str]] = {"Accept-Encoding": "identity"}
        if version is not None:
            headers["If-Match"] = version
        with self._translate_errors():
            try:
                response = self.client.minio.get_object(self.bucket, self.full, offset=offset, request_headers=headers)
            except S3Error as error:
                if error.code == "InvalidRange":
                    return Body(lambda size: b"", lambda: None, version, offset)
                raise
        length_header = response.headers.get("content-length")
        return Body(
            read=self._reading(response),
            close=lambda: _give_back(response),
            version=response.headers.get("etag"),
            end=None if length_header is None else offset + int(length_header),
        )

    def _reading(self, response: urllib3.BaseHTTPResponse) -> Callable[[int], bytes]:
        def read(size: int) -> bytes:
            with self._translate_errors():
                return response.read(size, decode_content=False)

        return read

    def size(self) -> int:
        """Return the object's size.

        Raises `NoSuchKeyError`, also for a missing bucket if the service does not say which of them is missing.
        """
        with self._translate_errors():
            return self.client.minio.stat_object(self.bucket, self.full).size or 0

    def bucket_exists(self) -> bool:
        """Ask whether the bucket exists."""
        with self._translate_errors():
            return self.client.minio.bucket_exists(self.bucket)

    def put_whole(self, data: bytes) -> None:
        """Write the object by one request."""
        with self._translate_errors():
            # With its length known and a part size not below it, this is a single PUT.
            size = max(len(data), 5 * 1024 * 1024)
            self.client.minio.put_object(self.bucket, self.full, io.BytesIO(data), len(data), part_size=size)

    def delete(self) -> None:
        """Remove the object."""
        with self._translate_errors():
            self.client.minio.remove_object(self.bucket, self.full)

    # Multipart uploads

    def create(self) -> str:
        """Begin a multipart upload, and return its id."""
        with self._translate_errors():
            return self.client.multipart._create_multipart_upload(self.bucket, self.full, {})

    def put_part(self, upload: str, number: int, data: bytes) -> str:
        """Send a part, and return its ETag."""
        with self._translate_errors():
            return self.client.multipart._upload_part(self.bucket, self.full, data, None, upload, number)

    def complete(self, upload: str, parts: list[Part]) -> None:
        """Make the object from its parts."""
        with self._translate_errors():
            made = self.client.multipart._complete_multipart_upload(self.bucket, self.full, upload, parts)
        if not made.etag:
            # S3 answers 200 before it has finished, and may then have to put an error into the body.
            raise self.broken("completing the upload was answered by 200 and an error")

    def is_complete(self, etag: str) -> bool:
        """Ask whether the object exists with this ETag."""
        try:
            with self._translate_errors():
                return self.client.minio.stat_object(self.bucket, self.full).etag == etag
        except NoSuchKeyError:
            return False

    def abort(self, upload: str) -> None:
        """Abort an upload and free its parts."""
        try:
            with self._translate_errors():
                self.client.multipart._abort_multipart_upload(self.bucket, self.full, upload)
        except s3_errors.NoSuchUploadError:
            return

    # What lies below a prefix

    def page(self, after: str | None) -> list[tuple[str, int]]:
        """Return up to `PAGE` keys after `after`, with their sizes."""
        with self._translate_errors():
            listed = self.client.minio.list_objects(self.bucket, self.full, recursive=True, start_after=after)
            return [(item.object_name or "", item.size or 0) for item in islice(listed, PAGE)]

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove up to `PAGE` objects."""
        with self._translate_errors():
            errors = list(self.client.minio.remove_objects(self.bucket, [DeleteObject(key) for key in keys]))
        for error in errors:
            if error.code not in _GONE:
                raise s3_errors.error_for_code(
                    error.code, error.message or "", self.operation, self.store, error.name or self.key
                )

    def unfinished(self, prefix: str, after: str | None) -> tuple[list[Unfinished], str | None]:
        """Return a page of unfinished uploads of keys that begin with `prefix`.

        The second value is where the next page begins, or None.
        """
        with self._translate_errors():
            page = self.client.multipart._list_multipart_uploads(self.bucket, prefix=prefix, key_marker=after)
        found = [Unfinished(item.object_name, item.upload_id or "") for item in page.uploads]
        return found, (page.next_key_marker or None) if page.is_truncated else None


def _give_back(response: urllib3.BaseHTTPResponse) -> None:
    # A body that was read to its end has released its connection; any other connection cannot be used again.
    response.close()
    response.release_conn()
