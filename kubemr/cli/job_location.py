"""Where a job's objects are: as the job in the cluster says, or in a store that is named.

The cluster is that of `KUBEMR_APISERVER` or of the kubeconfig.  A store that is named (`--store`) is enough by itself:
the job may be gone, or have run locally.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Final

from attr import frozen

from kubemr.coordination import names
from kubemr.local.store_settings import store_settings
from kubemr.storage import ObjectStore, store_from_environment
from kubemr.storage.retry import Retrier

EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
RETRY_SECONDS: Final = 10.0
"""How long an object store is asked that does not answer: a person waits."""


class NotThere(Exception):
    """The job's objects cannot be got at; `code` is the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@frozen
class Place:
    """A job's part of an object store; `prefix` ends in a slash."""

    store: ObjectStore
    prefix: str


@frozen
class Asked:
    """What the command line says: `store` an address, `endpoint` that of the S3 service as seen from here."""

    job: str
    namespace: str | None = None
    context: str | None = None
    store: str | None = None
    endpoint: str | None = None


def find(asked: Asked, environ: Mapping[str, str] = os.environ) -> Place:
    """Raises `NotThere`, and what the store raises."""
    endpoint = {"KUBEMR_S3_ENDPOINT": asked.endpoint} if asked.endpoint else {}
    try:
        if asked.store is not None:
            store = _open(store_settings(asked.store, {**environ, **endpoint}))
            return Place(store, _folder(store, asked.job))
        # Imported here: a named store must not wait for what a cluster needs.
        from kubemr.cli.cluster_job import ask

        prefix, settings = asyncio.run(ask(asked, environ))
        return Place(_open({**settings, **endpoint}), prefix)
    except ValueError as error:
        raise NotThere(str(error), EXIT_USAGE) from error


def _open(settings: Mapping[str, str]) -> ObjectStore:
    return store_from_environment(settings, Retrier(total=RETRY_SECONDS))


def _folder(store: ObjectStore, job: str) -> str:
    """The prefix of the job of that name, or of that prefix."""
    wanted = re.compile(rf"{re.escape(names.slug(job))}-[a-z2-7]{{{names.HASH_LENGTH}}}")
    begin = names.slug(job)
    folders = {item.key.partition("/")[0] for item in store.list(begin)}
    if job in folders:
        return f"{job}/"
    found = sorted(folder for folder in folders if wanted.fullmatch(folder))
    if len(found) == 1:
        return f"{found[0]}/"
    if not found:
        raise NotThere(f"nothing is kept of a job {job!r} in {store.url('x')[:-1]}", EXIT_USAGE)
    raise NotThere(f"{job!r} is the name of several jobs there; name one of {', '.join(found)}", EXIT_USAGE)
