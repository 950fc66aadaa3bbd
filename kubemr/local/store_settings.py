"""Turn the address of a local run's object store into the settings of operator and workers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

DEFAULT: Final = "kubemr-results"
_S3_SERVICE: Final = (
    "KUBEMR_S3_REGION",
    "KUBEMR_S3_ENDPOINT",
    "KUBEMR_S3_ACCESS_KEY_ID",
    "KUBEMR_S3_SECRET_ACCESS_KEY",
)


def store_settings(address: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the `KUBEMR_*` variables for a directory, a `file://` address or an `s3://` address.

    The S3 service and its keys in `environ` are included, because inputs may be there.  Raises ValueError for an
    address that cannot be written to.
    """
    scheme, separator, rest = address.partition("://")
    service = {name: environ[name] for name in _S3_SERVICE if environ.get(name)}
    if not separator:
        return {**service, "KUBEMR_STORAGE_URL": "file://" + quote(os.path.abspath(address))}
    if scheme == "file":
        return {**service, "KUBEMR_STORAGE_URL": address}
    if scheme != "s3":
        raise ValueError(f"{address!r} cannot be written to; give a directory or s3://bucket/prefix")
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise ValueError(f"{address!r} names no bucket; write s3://bucket/prefix")
    return {**service, "KUBEMR_S3_BUCKET_NAME": bucket, **({"KUBEMR_S3_BUCKET_PREFIX": prefix} if prefix else {})}
