"""A job's object store, as the operator opens it.

Where the job names a Secret, the keys are read from it by name, each time, and are kept nowhere: the pods get them from
the same Secret by reference.  A Secret that is missing, or lacks a key, may still come: that is `StorageNotReady`, on
which the job waits, and no reason to fail.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from kubemr.controller.inputs.access import Access
from kubemr.controller.reconcile.context import CleanStore, ReconcileContext, StorageSettings
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import SECRETS
from kubemr.locks.conditional import RequestRefusedError, Target, read
from kubemr.locks.effects import Do, Json, Op

KEYS: Final[Mapping[str, str]] = {
    "KUBEMR_S3_ACCESS_KEY_ID": "accessKeyId",
    "KUBEMR_S3_SECRET_ACCESS_KEY": "secretAccessKey",
}
"""By environment variable, the key of the Secret that `spec.storage.s3.secretRef` names."""


class StorageNotReady(Exception):
    """The job's storage cannot be used now; what is missing may come."""


def open_store(job: JobView, context: ReconcileContext) -> Op[CleanStore]:
    """The job's store.  Raises `StorageNotReady`."""
    storage: StorageSettings = yield Do(lambda: context.settings.storage(job.document), "storage settings")
    keys = yield from keys_of(job, storage.secret_ref)
    store: CleanStore = yield Do(lambda: context.settings.store(job.document, keys), "open store")
    return store


def open_inputs(job: JobView, context: ReconcileContext) -> Op[Access]:
    """By which rights the job's inputs are looked for: with the same keys.  Raises `StorageNotReady`."""
    storage: StorageSettings = yield Do(lambda: context.settings.storage(job.document), "storage settings")
    keys = yield from keys_of(job, storage.secret_ref)
    access: Access = yield Do(lambda: context.settings.access(job.document, keys), "access to inputs")
    return access


def check_store(job: JobView, context: ReconcileContext, storage: StorageSettings) -> Op[None]:
    """Raises `StorageNotReady` when the workers would find no store that they can write to.

    Workers with an identity of their own may be allowed what the operator is not, so then only the Secret counts.
    """
    try:
        store = yield from open_store(job, context)
        if storage.own_identity:
            return
        yield Do(store.check, "check store")
    except StorageNotReady:
        raise
    except Exception as error:  # Whatever the store has to say: people are to read it, and it is tried again.
        raise StorageNotReady(f"the object store cannot be used: {error}") from error


def keys_of(job: JobView, name: str) -> Op[Mapping[str, str]]:
    """The storage keys in the Secret of that name, as environment variables.  Raises `StorageNotReady`."""
    if not name:
        return {}
    try:
        document: Json = yield from read(Target(SECRETS, job.namespace, name))
    except RequestRefusedError as refused:
        raise StorageNotReady(f"spec.storage.s3.secretRef: {refused}") from refused
    what = f"spec.storage.s3.secretRef: the Secret {name!r} in namespace {job.namespace!r}"
    if document is None:
        raise StorageNotReady(f"{what} does not exist; create it with the keys {' and '.join(KEYS.values())}")
    data = document.get("data") or {}
    found: dict[str, str] = {}
    for variable, key in KEYS.items():
        if not data.get(key):
            raise StorageNotReady(f"{what} has no {key}; add it")
        try:
            found[variable] = base64.b64decode(data[key]).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise StorageNotReady(f"{what}: its {key} is no text; correct it") from None
    return found
