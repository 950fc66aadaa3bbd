"""Translate answers of an S3 service, and exceptions of the S3 libraries, into `StorageError`s."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from xml.etree.ElementTree import ParseError

import urllib3.exceptions
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from kubemr.storage.errors import (
    AccessDeniedError,
    InvalidKeyError,
    NoSuchBucketError,
    NoSuchKeyError,
    ObjectChangedError,
    StorageError,
    StorageFullError,
    TransientError,
)


class NoSuchUploadError(StorageError):
    """There is no such multipart upload: it was completed, or another process removed it."""

    remedy_by_default = "do not delete a prefix while it is in use"


_BY_CODE: Final[dict[str, type[StorageError]]] = {
    "NoSuchKey": NoSuchKeyError,
    "NoSuchBucket": NoSuchBucketError,
    "NoSuchUpload": NoSuchUploadError,
    "PreconditionFailed": ObjectChangedError,
    **dict.fromkeys(
        (
            "AccessDenied",
            "AccountProblem",
            "AllAccessDisabled",
            "AuthorizationHeaderMalformed",
            "ExpiredToken",
            "InvalidAccessKeyId",
            "InvalidToken",
            "InvalidTokenId",
            "SignatureDoesNotMatch",
        ),
        AccessDeniedError,
    ),
    **dict.fromkeys(
        ("XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage"),
        StorageFullError,
    ),
    **dict.fromkeys(("XMinioParentIsObject", "XMinioInvalidObjectName", "KeyTooLongError"), InvalidKeyError),
    **dict.fromkeys(
        (
            "BadDigest",
            "IncompleteBody",
            "InternalError",
            "OperationAborted",
            "RequestTimeout",
            "ServiceUnavailable",
            "SlowDown",
            "SlowDownRead",
            "SlowDownWrite",
            "ThrottlingException",
            "TooManyRequests",
            "XAmzContentSHA256Mismatch",
            "XMinioServerNotInitialized",
        ),
        TransientError,
    ),
}

_REMEDY_BY_CODE: Final[dict[str, str]] = {
    "RequestTimeTooSkewed": "correct this machine's clock",
    "AuthorizationHeaderMalformed": "check the region",
    "PermanentRedirect": "name the region and endpoint of the bucket",
    "Redirect": "name the region and endpoint of the bucket",
    "XMinioParentIsObject": "part of its path is an object already; choose another key",
}

_TRANSIENT_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504})


@contextmanager
def translate_s3_errors(operation: str, store: str, key: str) -> Iterator[None]:
    """Raise an exception of the libraries as the `StorageError` that explains it."""
    try:
        yield
    except StorageError:
        raise
    except S3Error as error:
        raise _error_for_answer(error, operation, store, key) from error
    except (ServerError, InvalidResponseError) as error:
        raise _error_for_status(error, operation, store, key) from error
    except urllib3.exceptions.SSLError as error:
        raise StorageError(operation, store, key, f"no trusted TLS connection: {error}", _TLS) from error
    except (urllib3.exceptions.LocationValueError, urllib3.exceptions.LocationParseError) as error:
        raise StorageError(operation, store, key, f"bad endpoint: {error}", "correct the endpoint") from error
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        raise TransientError(operation, store, key, f"{type(error).__name__}: {error}") from error
    except (MinioException, ValueError, LookupError, TypeError, AttributeError, ParseError) as error:
        # minio raises these if an answer is not what it expects.
        problem = f"the answer is not understood ({type(error).__name__}: {error})"
        raise StorageError(operation, store, key, problem, "check that the endpoint is an S3 service") from error


_TLS = "check the endpoint's certificate, or name the authority's file in SSL_CERT_FILE"


def error_for_code(code: str, message: str, operation: str, store: str, key: str) -> StorageError:
    """Return the error for an error code of an S3 service."""
    kind = _BY_CODE.get(code, StorageError)
    return kind(operation, store, key, f"{code}: {message}" if message else code, _REMEDY_BY_CODE.get(code, ""))


def _error_for_answer(error: S3Error, operation: str, store: str, key: str) -> StorageError:
    code, status = error.code or "", int(error.response.status)
    # An answer to HEAD has no body, so minio takes every 404 for a missing key; MinIO names the error in a header.
    code = error.response.headers.get("x-minio-error-code") or code
    found = error_for_code(code, error.message or "", operation, store, key)
    if type(found) is StorageError:
        kind = _kind_of_status(status)
        found = kind(operation, store, key, f"{found.problem} (HTTP {status})", found.remedy)
    return _with_retry_after(found, error.response.headers.get("retry-after"))


def _error_for_status(error: ServerError | InvalidResponseError, operation: str, store: str, key: str) -> StorageError:
    # InvalidResponseError has its status in a private attribute only.
    status = error.status_code if isinstance(error, ServerError) else int(getattr(error, "_code", 0))
    text = str(error).replace("\n", " ")[:300]
    return _kind_of_status(status)(operation, store, key, f"HTTP {status}: {text}")


def _kind_of_status(status: int) -> type[StorageError]:
    if status in _TRANSIENT_STATUS:
        return TransientError
    return {507: StorageFullError, 401: AccessDeniedError, 403: AccessDeniedError, 412: ObjectChangedError}.get(
        status, StorageError
    )


def _with_retry_after(error: StorageError, header: str | None) -> StorageError:
    if isinstance(error, TransientError) and header is not None and header.isdigit():
        error.retry_after = float(header)
    return error
