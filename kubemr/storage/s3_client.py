"""The connection to an S3 service: minio's client with our own pool, timeouts and no retries of its own.

A service refuses requests that are signed with a time over 15 minutes off (`RequestTimeTooSkewed`; for a HEAD, a bare
403).  Its refusals bear its own time, so a client on a machine whose clock is wrong goes by that from then on, as
Amazon's do (`Client.sets_clock`).

minio can send most requests through public methods.  Multipart uploads it only offers as a whole (`put_object` of a
stream that it pulls from), and listing unfinished ones not at all; `Multipart` names the private methods used for that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeAlias, cast

import certifi
import urllib3
from minio import Minio
from minio import time as minio_time
from minio.credentials.credentials import Credentials
from minio.credentials.providers import ChainedProvider, EnvAWSProvider, IamAwsProvider
from minio.datatypes import CompleteMultipartUploadResult, ListMultipartUploadsResult, Part

from kubemr.logs import Log
from kubemr.storage.s3_settings import S3Settings

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection."""
READ_TIMEOUT = 60.0
"""Seconds to wait for the next bytes of an answer."""
KEPT_CONNECTIONS = 16
"""Connections kept for reuse.  More may be open for a while; they are closed after use rather than waited for, since a
merge may hold many streams open at once."""

TOLERATED_SKEW = timedelta(minutes=5)
"""How far the clock may be off without being set: far less than services refuse, far more than an answer takes."""


Headers: TypeAlias = dict[str, str | list[str] | tuple[str]]


class Multipart(Protocol):
    """minio's private requests for multipart uploads."""

    def _create_multipart_upload(self, bucket_name: str, object_name: str, headers: dict[str, str]) -> str: ...

    def _upload_part(
        self,
        bucket_name: str,
        object_name: str,
        data: bytes,
        headers: dict[str, str] | None,
        upload_id: str,
        part_number: int,
    ) -> str: ...

    def _complete_multipart_upload(
        self, bucket_name: str, object_name: str, upload_id: str, parts: list[Part]
    ) -> CompleteMultipartUploadResult: ...

    def _abort_multipart_upload(self, bucket_name: str, object_name: str, upload_id: str) -> None: ...

    def _list_multipart_uploads(
        self, bucket_name: str, *, key_marker: str | None, prefix: str
    ) -> ListMultipartUploadsResult: ...


class SkewAwareMinio(Minio):
    """minio's client, which signs by the service's clock: `ahead` is how much this machine's is ahead of that."""

    clock_ahead = timedelta(0)

    def _build_headers(
        self,
        host: str,
        headers: Headers | None = None,
        body: bytes | None = None,
        creds: Credentials | None = None,
    ) -> tuple[Headers, datetime]:
        headers, date = super()._build_headers(host, headers, body, creds)
        date -= self.clock_ahead
        headers["x-amz-date"] = minio_time.to_amz_date(date)
        return headers, date


class S3Client:
    """A `Minio` per process: connections must not be shared across a fork."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._minio: SkewAwareMinio | None = None
        self._process = 0

    @property
    def minio(self) -> Minio:
        """The client of this process."""
        if self._minio is None or self._process != os.getpid():
            self._minio, self._process = self._connect(), os.getpid()
        return self._minio

    @property
    def multipart(self) -> Multipart:
        """The same client, for multipart uploads."""
        return cast(Multipart, self.minio)

    def adjust_clock(self, headers: Mapping[str, str]) -> bool:
        """Go by the service's time, which its answer to a request of now has in `Date`.

        False when that is (no longer) any different, or not known: to try again is of no use then.
        """
        signer = self._minio
        try:
            server_time = parsedate_to_datetime(headers.get("Date", ""))
        except ValueError:
            return False
        if signer is None or server_time.tzinfo is None:
            return False
        ahead = minio_time.utcnow() - server_time
        if abs(ahead - signer.clock_ahead) < TOLERATED_SKEW:
            return False
        signer.clock_ahead = ahead
        Log().warning("storage_clock", ahead_seconds=round(ahead.total_seconds()))
        return True

    def _connect(self) -> SkewAwareMinio:
        settings = self._settings
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
            maxsize=KEPT_CONNECTIONS,
            cert_reqs="CERT_REQUIRED",
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
            retries=False,  # `Retrier` does it: with backoff, within a bound, and with a reason in the end
        )
        return SkewAwareMinio(
            settings.host,
            access_key=settings.access_key or None,
            secret_key=settings.secret_key or None,
            secure=settings.secure,
            region=settings.region or None,
            http_client=pool,
            credentials=None if settings.access_key else ChainedProvider([EnvAWSProvider(), IamAwsProvider()]),
        )
