"""The settings of an installation, from the operator's environment.

==============================  ===================================================================  =========
variable                        meaning                                                              default
==============================  ===================================================================  =========
`KUBEMR_NAMESPACE`              the namespace of the operators' own Leases                           kubemr
`KUBEMR_INSTANCE`               this operator's name, unique among those that run                    host name
`KUBEMR_LEASE_SECONDS`          duration of Leases: how long after its last heartbeat a worker or     15
                                operator is declared dead; it renews four times in that.  Leases of
                                jobs with more than 100 workers last longer (docs/large-clusters.md)
`KUBEMR_WORKERS`                jobs reconciled at the same time                                      8
`KUBEMR_HEALTH_PORT`            the port of `/livez`, `/readyz` and `/metrics`; 0: not served          0
`KUBEMR_HEALTH_ADDRESS`         the address of this machine on which they are served                  all
`KUBEMR_STORAGE_URL`,           the object store of jobs that name none (docs/protocol.md)            none
`KUBEMR_S3_*`
`KUBEMR_LEND_STORAGE_KEYS`      `true`: for each job that names neither a Secret nor an endpoint, the        false
                                operator puts its own `KUBEMR_S3_*` keys into a Secret beside the job.
                                Users who may read Secrets there, or run a job, then have the keys
`KUBEMR_INPUTS_FROM`            addresses, separated by spaces, below which the operator lists the        none
                                `inputsFrom` of any job with its own permissions:
                                `s3://corpus/ https://lists.example/`; `*`: all addresses.
                                What a job's own keys can read needs no entry
`KUBEMR_DELETION_DEADLINE_SECONDS`  how long the deletion of a job waits for its pods to end and its     600
                                objects to be deleted, before a later sweep deletes the objects
`KUBEMR_SWEEP_SECONDS`          the longest interval between two sweeps for such objects               300
==============================  ===================================================================  =========
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from attrs import frozen

from kubemr.controller.inputs.access import EVERYTHING, Access
from kubemr.controller.reconcile.context import StorageSettings
from kubemr.coordination.timestamps import timestamp
from kubemr.locks.effects import Json
from kubemr.storage import ObjectStore, store_from_environment
from kubemr.storage.retry import Retrier

S3_CONFIG = ("KUBEMR_S3_REGION", "KUBEMR_S3_ENDPOINT", "KUBEMR_S3_BUCKET_NAME", "KUBEMR_S3_BUCKET_PREFIX")
S3_SERVICE = ("KUBEMR_S3_REGION", "KUBEMR_S3_ENDPOINT")
S3_SECRET = ("KUBEMR_S3_ACCESS_KEY_ID", "KUBEMR_S3_SECRET_ACCESS_KEY")
S3_FIELDS = {
    "region": "KUBEMR_S3_REGION",
    "endpoint": "KUBEMR_S3_ENDPOINT",
    "bucket": "KUBEMR_S3_BUCKET_NAME",
    "prefix": "KUBEMR_S3_BUCKET_PREFIX",
}

RETRY_SECONDS = 10.0
"""How long one call of the operator to a store retries.

The operator has other jobs to reconcile, and reports on this one what is wrong.
"""


@frozen
class OperatorSettings:
    """One operator's settings; times in seconds."""

    namespace: str
    instance: str
    lease_seconds: float
    workers: int
    environ: Mapping[str, str]
    lend_keys: bool = False
    deletion_seconds: float = 600.0
    inputs_from: tuple[str, ...] = ()
    sweep_seconds: float = 300.0
    health_port: int = 0
    health_address: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> OperatorSettings:
        """Read the settings.  Raises ValueError that names the variable and the values that it may have."""
        return cls(
            namespace=environ.get("KUBEMR_NAMESPACE") or "kubemr",
            instance=environ.get("KUBEMR_INSTANCE") or socket.gethostname().split(".")[0].lower(),
            lease_seconds=_number(environ, "KUBEMR_LEASE_SECONDS", 15.0, least=1.0),
            workers=int(_number(environ, "KUBEMR_WORKERS", 8, least=1)),
            environ=dict(environ),
            lend_keys=_flag(environ, "KUBEMR_LEND_STORAGE_KEYS"),
            inputs_from=_addresses(environ, "KUBEMR_INPUTS_FROM"),
            health_port=int(_number(environ, "KUBEMR_HEALTH_PORT", 0, least=0, below=65536)),
            health_address=environ.get("KUBEMR_HEALTH_ADDRESS", ""),
            deletion_seconds=_number(environ, "KUBEMR_DELETION_DEADLINE_SECONDS", 600.0, least=0.0),
            sweep_seconds=_number(environ, "KUBEMR_SWEEP_SECONDS", 300.0, least=1.0),
        )

    def storage(self, document: Json) -> StorageSettings:
        """Return the variables for the job's workers: of the store that the job names, or of the operator's own.

        If the job names only a bucket, the store is that bucket at the operator's service.
        Keys come from the Secret that the job names.
        The operator lends its own keys only if the administrator allows it, and never to another endpoint.
        """
        named = ((document.get("spec") or {}).get("storage") or {}).get("s3")
        own = {name: self.environ[name] for name in S3_CONFIG if self.environ.get(name)}
        if not named:
            if self.environ.get("KUBEMR_STORAGE_URL"):
                service = {name: own[name] for name in S3_SERVICE if name in own}
                lent = self._own_keys if self.lend_keys else {}
                return StorageSettings({"KUBEMR_STORAGE_URL": self.environ["KUBEMR_STORAGE_URL"], **service}, lent)
            named, config = {}, own
        else:
            config = {S3_FIELDS[field]: str(named[field]) for field in S3_FIELDS if named.get(field)}
            if not named.get("endpoint"):
                config = {**{name: own[name] for name in S3_SERVICE if name in own}, **config}
        if not config.get("KUBEMR_S3_BUCKET_NAME"):
            raise ValueError(
                "spec.storage.s3: not set, and the operator has no default store; remedy: name a bucket in the job, "
                "or set KUBEMR_S3_BUCKET_NAME (or KUBEMR_STORAGE_URL) for the operator"
            )
        if named.get("secretRef"):
            return StorageSettings(config, {}, secret_ref=named["secretRef"]["name"])
        lent = self._own_keys if self.lend_keys and not named.get("endpoint") else {}
        return StorageSettings(config, lent, own_identity=not lent)

    @property
    def _own_keys(self) -> Mapping[str, str]:
        return {name: self.environ[name] for name in S3_SECRET if self.environ.get(name)}

    def store(self, document: Json, keys: Mapping[str, str] = MappingProxyType({})) -> ObjectStore:
        """Return the job's object store, opened once for all jobs that share it.

        `keys` are those of the Secret that the job names.
        If the job names none, the operator uses its own keys, and only at its own endpoint.
        """
        storage = self.storage(document)
        named = ((document.get("spec") or {}).get("storage") or {}).get("s3") or {}
        if storage.secret_ref:
            own: Mapping[str, str] = keys
        elif named.get("endpoint") or "KUBEMR_STORAGE_URL" in storage.config:
            own = {}
        else:
            own = self._own_keys
        return _open(tuple(sorted({**storage.config, **own}.items())))

    def access(self, document: Json, keys: Mapping[str, str] = MappingProxyType({})) -> Access:
        """Return the credentials with which the operator lists the job's inputs, and the addresses that it may read.

        `keys` are as for `store`.
        With keys that the job's pods have, the operator reads whatever these keys can read.
        With its own credentials it reads only below the addresses in `inputs_from`.
        It never shows its own credentials to an endpoint that the job names.
        """
        storage = self.storage(document)
        named = ((document.get("spec") or {}).get("storage") or {}).get("s3") or {}
        retrier = Retrier(total=RETRY_SECONDS)
        given = keys if storage.secret_ref else storage.secret
        if given:
            return Access({**storage.config, **given}, True, self.inputs_from, retrier)
        if named.get("endpoint"):
            others = tuple(one for one in self.inputs_from if not one.startswith(("s3:", EVERYTHING)))
            return Access(storage.config, False, others, retrier)
        return Access({**storage.config, **self._own_keys}, False, self.inputs_from, retrier)

    def now_string(self) -> str:
        """Return the wall clock as a Kubernetes Time."""
        return timestamp()


@lru_cache(maxsize=64)
def _open(environ: tuple[tuple[str, str], ...]) -> ObjectStore:
    return store_from_environment(dict(environ), Retrier(total=RETRY_SECONDS))


def _number(environ: Mapping[str, str], name: str, default: float, *, least: float, below: float = 1e6) -> float:
    text = environ.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}: must be a number") from None
    if not least <= number < below:
        limit = "1e6" if below == 1e6 else f"{below:g}"
        raise ValueError(f"{name} is {text!r}: must be at least {least:g} and below {limit}")
    return number


def _addresses(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    found = tuple(environ.get(name, "").split())
    for address in found:
        if address != EVERYTHING and not re.fullmatch(r"(s3|file|https?)://\S*/", address):
            raise ValueError(
                f"{name} has {address!r}: must be addresses that end in a slash, such as s3://corpus/ or"
                f" https://lists.example/2025/, separated by spaces; or {EVERYTHING}"
            )
    return found


def _flag(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name) or "false"
    if text not in ("true", "false"):
        raise ValueError(f"{name} is {text!r}: must be true or false")
    return text == "true"
