"""Open a job's object store for the operator.

If the job names a Secret, the operator reads the keys from it by name each time, and keeps them nowhere.
The pods get them from the same Secret by reference.
A Secret that is missing or lacks a key may still appear: the job waits (`StorageNotReadyError`) and does not fail.
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
"""The key in the Secret that `spec.storage.s3.secretRef` names, by environment variable."""


class StorageNotReadyError(Exception):
    """The job's storage cannot be used now; what is missing may still appear."""


def open_job_store(job: JobView, context: ReconcileContext) -> Op[CleanStore]:
    """Return the job's store.  Raises `StorageNotReadyError`."""
    storage: StorageSettings = yield Do(lambda: context.settings.storage(job.document), "storage settings")
    keys = yield from keys_of(job, storage.secret_ref)
    store: CleanStore = yield Do(lambda: context.settings.store(job.document, keys), "open store")
    return store


def open_job_inputs(job: JobView, context: ReconcileContext) -> Op[Access]:
    """Return the credentials and addresses for listing the job's inputs.  Raises `StorageNotReadyError`."""
    storage: StorageSettings = yield Do(lambda: context.settings.storage(job.document), "storage settings")
    keys = yield from keys_of(job, storage.secret_ref)
    access: Access = yield Do(lambda: context.settings.access(job.document, keys), "access to inputs")
    return access


def check_store(job: JobView, context: ReconcileContext, storage: StorageSettings) -> Op[None]:
    """Raise `StorageNotReadyError` if the workers would find no store that they can write to.

    Workers with their own identity may have permissions that the operator lacks, so then only the Secret is checked.
    """
    try:
        store = yield from open_job_store(job, context)
        if storage.own_identity:
            return
        yield Do(store.check, "check store")
    except StorageNotReadyError:
        raise
    except Exception as error:  # Any error of the store: the job reports it, and the operator tries again.
        raise StorageNotReadyError(f"the object store cannot be used: {error}") from error


def keys_of(job: JobView, name: str) -> Op[Mapping[str, str]]:
    """Return the storage keys in the Secret of that name, as environment variables.

    Raises `StorageNotReadyError`.
    """
    if not name:
        return {}
    try:
        document: Json = yield from read(Target(SECRETS, job.namespace, name))
    except RequestRefusedError as refused:
        raise StorageNotReadyError(f"spec.storage.s3.secretRef: {refused}") from refused
    what = f"spec.storage.s3.secretRef: the Secret {name!r} in namespace {job.namespace!r}"
    if document is None:
        raise StorageNotReadyError(f"{what} does not exist; create it with the keys {' and '.join(KEYS.values())}")
    data = document.get("data") or {}
    found: dict[str, str] = {}
    for variable, key in KEYS.items():
        if not data.get(key):
            raise StorageNotReadyError(f"{what} has no {key}; add it")
        try:
            found[variable] = base64.b64decode(data[key]).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise StorageNotReadyError(f"{what}: its {key} is not text; correct it") from None
    return found
