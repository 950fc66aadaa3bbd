"""Find a job's objects: where the job in the cluster says, or in a store that the command line names.

The cluster is that of `KUBEMR_APISERVER` or of the kubeconfig.  A named store (`--store`) needs no cluster: the job may
have been deleted, or have run locally.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping

from kubemr.cli.exit_codes import EXIT_USAGE
from kubemr.cli.job_location import RETRY_SECONDS, JobLocation, JobNotFoundError, JobQuery
from kubemr.coordination import names
from kubemr.local.store_settings import store_settings
from kubemr.storage import ObjectStore, store_from_environment
from kubemr.storage.retry import Retrier


def find_job(query: JobQuery, environ: Mapping[str, str] = os.environ) -> JobLocation:
    """Return where the job's objects are.  Raises `JobNotFoundError`, and what the store raises."""
    endpoint = {"KUBEMR_S3_ENDPOINT": query.endpoint} if query.endpoint else {}
    try:
        if query.store is not None:
            store = _open(store_settings(query.store, {**environ, **endpoint}))
            return JobLocation(store, _find_folder(store, query.job))
        # Imported here: a named store must not wait for what a cluster needs.
        from kubemr.cli.cluster_job import find_in_cluster

        prefix, settings = asyncio.run(find_in_cluster(query, environ))
        return JobLocation(_open({**settings, **endpoint}), prefix)
    except ValueError as error:
        raise JobNotFoundError(str(error), EXIT_USAGE) from error


def _open(settings: Mapping[str, str]) -> ObjectStore:
    return store_from_environment(settings, Retrier(total=RETRY_SECONDS))


def _find_folder(store: ObjectStore, job: str) -> str:
    """Return the prefix of the job of that name, or the job whose folder has that name."""
    wanted = re.compile(rf"{re.escape(names.slug(job))}-[a-z2-7]{{{names.HASH_LENGTH}}}")
    begin = names.slug(job)
    folders = {item.key.partition("/")[0] for item in store.list(begin)}
    if job in folders:
        return f"{job}/"
    found = sorted(folder for folder in folders if wanted.fullmatch(folder))
    if len(found) == 1:
        return f"{found[0]}/"
    if not found:
        raise JobNotFoundError(
            f"no objects of a job {job!r} in {store.url('x')[:-1]}; check JOB and --store", EXIT_USAGE
        )
    raise JobNotFoundError(f"more than one job is named {job!r}; choose one of {', '.join(found)}", EXIT_USAGE)
