"""Connect to an S3 service: minio's client with our connection pool and timeouts, and without its retries.

A service rejects requests that are signed with a time over 15 minutes off (`RequestTimeTooSkewed`; for a HEAD, only
403).  The answer contains the service's time.  A client on a machine whose clock is wrong uses that time from then on,
as Amazon's clients do (`S3Client.adjust_clock`).

Most requests use public methods of minio.  minio offers multipart uploads only as a whole (`put_object` of a stream
that it pulls from), and no listing of unfinished ones.  `Multipart` names the private methods that are used for that.
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
"""Connections kept for reuse.  Further connections are opened when needed and closed after use, because a merge may
read many streams at once.
"""

TOLERATED_SKEW = timedelta(minutes=5)
"""Smaller differences are ignored.  It is far less than services reject, and far more than an answer takes."""


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
    """minio's client, which signs by the service's clock.

    `clock_ahead` is how far this machine's clock is ahead of the service's.
    """

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
    """A minio client per process, because connections must not be shared across a fork."""

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
        """Use the service's time from now on, which is in the `Date` of its answer to a request of this moment.

        Return False if that time is unknown, or is used already: then a retry does not help.
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
        Log().warning("storage_clock_skew", ahead_seconds=round(ahead.total_seconds()))
        return True

    def _connect(self) -> SkewAwareMinio:
        settings = self._settings
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
            maxsize=KEPT_CONNECTIONS,
            cert_reqs="CERT_REQUIRED",
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
            retries=False,  # `Retrier` does it, with backoff, bounds and an error that gives the reason
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
