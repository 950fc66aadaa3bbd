"""What an installation decides, from the operator's environment.

==============================  ===================================================================  =========
variable                        meaning                                                              default
==============================  ===================================================================  =========
`KUBEMR_NAMESPACE`              where the operators' own Leases are                                  kubemr
`KUBEMR_INSTANCE`               this operator's name, unique among those that run                    host name
`KUBEMR_LEASE_SECONDS`          duration of all Leases: how long after its last sign of life a        15
                                worker or operator counts as dead; four renewals are sent in it
`KUBEMR_WORKERS`                jobs reconciled at the same time                                      8
`KUBEMR_STORAGE_URL`,           the object store of jobs that name none (docs/protocol.md)            none
`KUBEMR_S3_*`
==============================  ===================================================================  =========
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import lru_cache

from attrs import frozen

from kubemr.controller.reconcile.context import StorageSettings
from kubemr.coordination.wallclock import timestamp
from kubemr.locks.request import Json
from kubemr.storage import ObjectStore, store_from_environment

S3_CONFIG = ("KUBEMR_S3_REGION", "KUBEMR_S3_ENDPOINT", "KUBEMR_S3_BUCKET_NAME", "KUBEMR_S3_BUCKET_PREFIX")
S3_SECRET = ("KUBEMR_S3_ACCESS_KEY_ID", "KUBEMR_S3_SECRET_ACCESS_KEY")
S3_FIELDS = {
    "region": "KUBEMR_S3_REGION",
    "endpoint": "KUBEMR_S3_ENDPOINT",
    "bucket": "KUBEMR_S3_BUCKET_NAME",
    "prefix": "KUBEMR_S3_BUCKET_PREFIX",
}


@frozen
class OperatorSettings:
    """One operator's settings; times in seconds."""

    namespace: str
    instance: str
    lease_seconds: float
    workers: int
    environ: Mapping[str, str]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> OperatorSettings:
        """Raises ValueError that names the variable and what it should be."""
        return cls(
            namespace=environ.get("KUBEMR_NAMESPACE") or "kubemr",
            instance=environ.get("KUBEMR_INSTANCE") or socket.gethostname().split(".")[0].lower(),
            lease_seconds=_number(environ, "KUBEMR_LEASE_SECONDS", 15.0, least=1.0),
            workers=int(_number(environ, "KUBEMR_WORKERS", 8, least=1)),
            environ=dict(environ),
        )

    def storage(self, document: Json) -> StorageSettings:
        """The variables for the job's workers: of the store that the job names, or else of the operator's own."""
        named = ((document.get("spec") or {}).get("storage") or {}).get("s3")
        config = {name: self.environ[name] for name in S3_CONFIG if self.environ.get(name)}
        if named:
            if named.get("secretRef"):
                raise ValueError(
                    f"spec.storage.s3.secretRef: {named['secretRef'].get('name')!r}: secrets of the job's namespace "
                    "are not read by this version; remedy: leave it out, and give the operator the keys"
                )
            config = {S3_FIELDS[field]: str(named[field]) for field in S3_FIELDS if named.get(field)}
        elif self.environ.get("KUBEMR_STORAGE_URL"):
            return StorageSettings({"KUBEMR_STORAGE_URL": self.environ["KUBEMR_STORAGE_URL"]}, {})
        if not config.get("KUBEMR_S3_BUCKET_NAME"):
            raise ValueError(
                "spec.storage.s3: not set, and the operator has no store of its own; remedy: name a bucket in the job, "
                "or set KUBEMR_S3_BUCKET_NAME (or KUBEMR_STORAGE_URL) for the operator"
            )
        return StorageSettings(config, {name: self.environ[name] for name in S3_SECRET if self.environ.get(name)})

    def store(self, document: Json) -> ObjectStore:
        """The job's object store, opened once for all jobs that share it."""
        storage = self.storage(document)
        return _open(tuple(sorted({**storage.config, **storage.secret}.items())))

    def stamp(self) -> str:
        """The wall clock."""
        return timestamp()


@lru_cache(maxsize=64)
def _open(environ: tuple[tuple[str, str], ...]) -> ObjectStore:
    return store_from_environment(dict(environ))


def _number(environ: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = environ.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}: must be a number") from None
    if not least <= number < 1e6:
        raise ValueError(f"{name} is {text!r}: must be at least {least:g} and below 1e6")
    return number
