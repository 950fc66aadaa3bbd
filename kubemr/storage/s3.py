"""S3, and services with its protocol (MinIO, Ceph, …), as an object store.

The keys are below `prefix` in one bucket.  A small object is one request, a longer one a multipart upload
(`s3_upload`). S3 itself guarantees that an object appears whole or not at all.  A process that is killed during an
upload leaves an unfinished upload, which is not an object; `delete_prefix` aborts it.  (MinIO lists unfinished uploads
only until it is restarted, and removes the others after a day.)

Every request is one attempt; `Retrier` repeats it if that may help.  All requests are safe to repeat.  A stored
Content-Encoding is not decoded: readers get the stored bytes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import BinaryIO

from minio.helpers import check_bucket_name

from kubemr.storage import transfer
from kubemr.storage.base import ObjectInfo, Path
from kubemr.storage.errors import NoSuchBucketError, NoSuchKeyError
from kubemr.storage.keys import check_folder, check_key, check_prefix, check_start
from kubemr.storage.resuming import ResumingReader, buffered
from kubemr.storage.retry import Retrier
from kubemr.storage.s3_client import S3Client
from kubemr.storage.s3_requests import PAGE, S3Requests
from kubemr.storage.s3_settings import S3Settings
from kubemr.storage.s3_upload import PART_SIZE, Upload


class S3Store:
    """The keys below `prefix` in `bucket`.  Raises ValueError for an invalid bucket name.

    `part_size` is how many bytes of an object one request sends, so that many are in memory while it is written.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        settings: S3Settings | None = None,
        retrier: Retrier | None = None,
        part_size: int = PART_SIZE,
    ) -> None:
        check_bucket_name(bucket)
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._settings = settings or S3Settings()
        self._name = f"s3://{bucket}/{self.prefix}".rstrip("/") + f" at {self._settings.host}"
        check_prefix("open", self._name, self.prefix)
        self._client = S3Client(self._settings)
        self._retrier = retrier or Retrier()
        self._part_size = part_size
        self._bucket_seen = False

    def __repr__(self) -> str:
        return f"<S3Store {self._name}>"

    def _object(self, operation: str, key: str) -> S3Requests:
        """Return the requests for one object."""
        check_key(operation, self._name, key)
        check_key(operation, self._name, self.prefix + key)  # the bound on the length applies to both together
        return S3Requests(self._client, self.bucket, operation, self._name, key, self.prefix + key)

    def _below(self, operation: str, prefix: str) -> S3Requests:
        """Return the requests for all objects of a prefix."""
        return S3Requests(self._client, self.bucket, operation, self._name, prefix, self.prefix + prefix)

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""
        with self._written("put", key) as stream:
            stream.write(data)

    def get(self, key: str) -> bytes:
        """Read an object."""
        with self._opened("get", key) as stream:
            return stream.readall()

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file as an object."""
        transfer.put_file(self, key, path)

    def get_file(self, key: str, path: Path) -> None:
        """Store an object as a local file."""
        transfer.get_file(self, key, path)

    def reader(self, key: str, start: int = 0) -> BinaryIO:
        """Open an object for reading."""
        check_start(start)
        return buffered(self._opened("reader", key, start))

    def _opened(self, operation: str, key: str, start: int = 0) -> ResumingReader:
        requests = self._object(operation, key)
        return ResumingReader(requests.get, requests.broken, self._retrier, start)

    def writer(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Write an object in chunks."""
        return self._written("writer", key)

    @contextmanager
    def _written(self, operation: str, key: str) -> Iterator[BinaryIO]:
        upload = Upload(self._object(operation, key), self._retrier, self._part_size)
        stream = io.BufferedWriter(upload, 64 * 1024)
        try:
            yield stream
            if not stream.closed:
                stream.flush()
            upload.commit()
        except BaseException as error:
            upload.abort(error)
            raise

    def stat(self, key: str) -> ObjectInfo | None:
        """Return an object's key and size, or None if it does not exist."""
        requests = self._object("stat", key)
        try:
            size = self._retrier.call(requests.size)
        except NoSuchKeyError:
            # The answer to HEAD does not tell a missing object from a missing bucket, so ask for the bucket, once.
            if not self._bucket_seen and not self._retrier.call(requests.bucket_exists):
                raise NoSuchBucketError("stat", self._name, key, f"there is no bucket {self.bucket!r}") from None
            self._bucket_seen = True
            return None
        self._bucket_seen = True
        return ObjectInfo(key, size)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with `prefix`, a thousand per request."""
        check_prefix("list", self._name, prefix)
        return self._list("list", prefix)

    def _list(self, operation: str, prefix: str) -> Iterator[ObjectInfo]:
        requests = self._below(operation, prefix)
        after: str | None = None
        while True:
            page = self._retrier.call(partial(requests.page, after))
            for full, size in page:
                if not full.endswith("/"):  # consoles create such keys to show empty folders
                    yield ObjectInfo(full.removeprefix(self.prefix), size)
            if len(page) < PAGE:
                return
            after = page[-1][0]

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._retrier.call(self._object("delete", key).delete)

    def delete_prefix(self, prefix: str, keep: Callable[[str], bool] | None = None) -> int:
        """Abort the unfinished uploads in a folder, then remove its objects, except those to `keep`."""
        folder = check_folder("delete_prefix", self._name, prefix)
        requests = self._below("delete_prefix", folder)
        # MinIO takes the prefix for the key of one object, but lists all uploads of the bucket if it is empty.
        # Amazon supports prefixes, and other users may share its buckets: there only the prefix is listed.
        for upload_prefix in [requests.full] if self._settings.is_amazon else [requests.full, ""]:
            self._abort_unfinished(requests, upload_prefix)
        removed = 0
        after: str | None = None
        while page := self._retrier.call(partial(requests.page, after)):
            keys = [full for full, _ in page if keep is None or not keep(full.removeprefix(self.prefix))]
            if keys:
                self._retrier.call(partial(requests.delete_all, keys))
            removed += sum(not full.endswith("/") for full in keys)
            after = page[-1][0]
        return removed

    def _abort_unfinished(self, requests: S3Requests, prefix: str) -> None:
        aborted: set[str] = set()
        after: str | None = None
        while True:
            found, following = self._retrier.call(partial(requests.unfinished, prefix, after))
            ours = [item for item in found if item.key.startswith(requests.full) and item.upload not in aborted]
            for item in ours:
                key = item.key.removeprefix(self.prefix)
                one = S3Requests(self._client, self.bucket, "delete_prefix", self._name, key, item.key)
                self._retrier.call(partial(one.abort, item.upload))
                aborted.add(item.upload)
            if following is None:
                return
            # One key may have more uploads than a page holds, and the marker would skip them: list this page again.
            after = after if ours else following

    def url(self, key: str) -> str:
        """Return the address of an object."""
        check_key("url", self._name, key)
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def check(self) -> None:
        """Write a small object and remove it."""
        requests = self._object("check", f".kubemr-check-{os.urandom(8).hex()}")
        self._retrier.call(partial(requests.put_whole, b"kubemr"))
        self._retrier.call(requests.delete)
