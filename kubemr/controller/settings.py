"""What an installation decides, from the operator's environment.

==============================  ===================================================================  =========
variable                        meaning                                                              default
==============================  ===================================================================  =========
`KUBEMR_NAMESPACE`              where the operators' own Leases are                                  kubemr
`KUBEMR_INSTANCE`               this operator's name, unique among those that run                    host name
`KUBEMR_LEASE_SECONDS`          duration of Leases: how long after its last sign of life a worker     15
                                or operator counts as dead; four renewals are sent in it.  Those of
                                jobs with more than 100 workers last longer (docs/large-clusters.md)
`KUBEMR_WORKERS`                jobs reconciled at the same time                                      8
`KUBEMR_HEALTH_PORT`            where `/livez`, `/readyz` and `/metrics` are served; 0: nowhere        0
`KUBEMR_HEALTH_ADDRESS`         on which of this machine's addresses                                  all
`KUBEMR_STORAGE_URL`,           the object store of jobs that name none (docs/protocol.md)            none
`KUBEMR_S3_*`
`KUBEMR_LEND_STORAGE_KEYS`      `true`: the operator's own `KUBEMR_S3_*` keys are put into a Secret beside   false
                                each job that names neither a secret nor an endpoint.  Whoever may read
                                secrets there, or run a job, then has them
`KUBEMR_INPUTS_FROM`            addresses, divided by spaces, below which the operator looks for `inputsFrom`  none
                                of any job by rights of its own: `s3://corpus/ https://lists.example/`;
                                `*`: everywhere.  What the keys of a job open needs no entry
`KUBEMR_DELETION_DEADLINE_SECONDS`  how long the deletion of a job waits for its pods to end and its     600
                                objects to be removed, before it leaves them to a later sweep
`KUBEMR_SWEEP_SECONDS`          how often such objects are looked for again, at the latest             300
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
"""How long one call of the operator's tries: it has other jobs, and says on this one what is wrong."""


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
        """Raises ValueError that names the variable and what it should be."""
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
        """The variables for the job's workers: of the store that the job names, or else of the operator's own.

        A job that names a bucket only is served by the operator's service.  Keys come from the Secret that the job
        names; the operator's own are lent only where the administrator says so, and never to another endpoint.
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
                "spec.storage.s3: not set, and the operator has no store of its own; remedy: name a bucket in the job, "
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
        """The job's object store, opened once for all jobs that share it.

        `keys` are those of the Secret that the job names.  Without one the operator uses its own, at its own endpoint.
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
        """By whose rights the job's inputs are looked for; `keys` as for `store`.

        Keys that the job's pods have open for it what they open.  With what the operator alone has, it looks where
        `inputs_from` lets it; and it never shows that to an endpoint which the job names.
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
        """The wall clock."""
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
                f" https://lists.example/2025/, divided by spaces; or {EVERYTHING}"
            )
    return found


def _flag(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name) or "false"
    if text not in ("true", "false"):
        raise ValueError(f"{name} is {text!r}: must be true or false")
    return text == "true"
