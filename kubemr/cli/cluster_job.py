"""Find a job in a cluster, and the settings of its object store.

The store is the one that the job names.  If it names none, it is the operator's default store, which is looked up in:

1. the `KUBEMR_S3_*` variables and `KUBEMR_STORAGE_URL` of this process;
2. the job's ConfigMap, which exists while the job runs;
3. the addresses of results in the job's status.

The keys come from the variables of this process, else from the Secret that the job names, else from the identity of
the machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kubemr.cli.exit_codes import EXIT_UNREACHABLE, EXIT_USAGE
from kubemr.cli.job_location import RETRY_SECONDS, JobNotFoundError, JobQuery
from kubemr.controller.client import Client, Connection, PlainConnection
from kubemr.controller.reconcile.storage.job_store import StorageNotReadyError, keys_of
from kubemr.controller.settings import S3_CONFIG, S3_SECRET, OperatorSettings
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import CONFIG_MAPS
from kubemr.locks.aio import run
from kubemr.locks.conditional import Target

_STORE_VARIABLES: Final = (*S3_CONFIG, "KUBEMR_STORAGE_URL")
_STORE_IDENTITY: Final = frozenset({"KUBEMR_S3_BUCKET_NAME", "KUBEMR_STORAGE_URL"})
"""Each of these identifies a store.  The other variables only say how it is reached."""


async def find_in_cluster(query: JobQuery, environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the prefix of the job's keys, and the settings of its store.  Raises `JobNotFoundError`."""
    connection, namespace = await _connect(query, environ)
    async with Client(connection, timeout=RETRY_SECONDS) as client:
        answer = await client.send(Target(names.JOBS, namespace, query.job).get())
        if answer.status == 404:
            raise JobNotFoundError(
                f"no MapReduceJob {query.job!r} in namespace {namespace!r} of {connection.base_url}; "
                "check the namespace (-n), or give the store (--store) of a job that was deleted or ran locally",
                EXIT_USAGE,
            )
        if not answer.ok:
            raise JobNotFoundError(
                f"{connection.base_url}: {answer.message}; check the cluster (--context) and your access to it",
                EXIT_UNREACHABLE,
            )
        job = JobView.of(answer.body)
        return job.storage_prefix, await _store_of(job, client, environ)


async def _connect(query: JobQuery, environ: Mapping[str, str]) -> tuple[Connection, str]:
    """Return a connection to the cluster, and the namespace of the job."""
    url = environ.get("KUBEMR_APISERVER")
    if url and not query.context:
        ca_file = environ.get("KUBEMR_APISERVER_CA") or None
        plain = PlainConnection(url, environ.get("KUBEMR_APISERVER_TOKEN", ""), ca_file=ca_file)
        return plain, query.namespace or "default"
    from kubemr.controller.client.kube_config import ConfigException, from_kubeconfig, namespace_of

    path = environ.get("KUBECONFIG")
    try:
        return await from_kubeconfig(path, query.context), query.namespace or await namespace_of(path, query.context)
    except ConfigException as error:
        raise JobNotFoundError(
            f"no cluster is configured: {error}; set KUBECONFIG, or give the store of the job (--store)", EXIT_USAGE
        ) from error


async def _store_of(job: JobView, client: Client, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the job's store, with its keys."""
    own_variables = {name: environ[name] for name in _STORE_VARIABLES if environ.get(name)}
    named = ((job.document.get("spec") or {}).get("storage") or {}).get("s3")
    if not named and not own_variables.keys() & _STORE_IDENTITY:
        answer = await client.send(Target(CONFIG_MAPS, job.namespace, names.config_map(job.base)).get())
        data = (answer.body.get("data") or {}) if answer.ok else {}
        own_variables = {
            **({name: data[name] for name in _STORE_VARIABLES if data.get(name)} or _store_from_status(job)),
            **own_variables,
        }
        if not own_variables.keys() & _STORE_IDENTITY:
            raise JobNotFoundError(
                "the job names no store, and the operator's default store is unknown here "
                f"({answer.message if not answer.ok else 'the ConfigMap of the job does not name it'}); "
                "give it: --store s3://bucket/prefix",
                EXIT_USAGE,
            )
    storage = OperatorSettings.from_environment({**environ, **own_variables}).storage(job.document)
    keys: Mapping[str, str] = {name: environ[name] for name in S3_SECRET if environ.get(name)}
    if storage.secret_ref and not keys:
        try:
            keys = await run(keys_of(job, storage.secret_ref), client)
        except StorageNotReadyError as problem:
            raise JobNotFoundError(
                f"{problem}; or set {' and '.join(S3_SECRET)} to your own keys", EXIT_UNREACHABLE
            ) from problem
    return {**storage.config, **keys}


def _store_from_status(job: JobView) -> dict[str, str]:
    """Derive the store from an address in the job's status: of a result, or of the log that its error names."""
    status = job.document.get("status") or {}
    for text in (*(status.get("results") or ())[:1], status.get("resultsManifest") or "", status.get("error") or ""):
        found = re.search(rf"\b(s3|file)://(\S+?)/{re.escape(job.storage_prefix)}", text)
        if found and found[1] == "file":
            return {"KUBEMR_STORAGE_URL": f"file://{found[2]}"}
        if found:
            bucket, _, prefix = found[2].partition("/")
            return {"KUBEMR_S3_BUCKET_NAME": bucket, "KUBEMR_S3_BUCKET_PREFIX": prefix}
    return {}
