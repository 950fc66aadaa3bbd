"""COMPLETE or FAIL: remove what the run no longer needs, and the job itself when its time has come.

The ConfigMap goes last.  As long as it is there, the run has not been cleaned up; so a crash in between
leaves no doubt about where to go on, and a job that is clean costs one look at the cache.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from kubemr.controller.reconcile.context import (
    CONFIG_MAPS,
    DONE,
    KUBERNETES_JOBS,
    SECRETS,
    After,
    CleanStore,
    Operator,
)
from kubemr.controller.reconcile.removing import remove, remove_all
from kubemr.coordination import names
from kubemr.coordination.job import JobView
from kubemr.locks.conditional import Target, read
from kubemr.locks.lease import LEASES
from kubemr.locks.request import Do, Json, Op
from kubemr.locks.shard import SHARDS


def tidy(document: Json, operator: Operator) -> Op[After]:
    """Clean up after a finished run; any operator may."""
    job = JobView.of(document)
    operator.censuses.pop(job.uid, None)
    settings: Json = yield from read(Target(CONFIG_MAPS, job.namespace, names.config_map(job.base)))
    if settings is not None:
        for resource in (KUBERNETES_JOBS, LEASES, SHARDS, SECRETS):
            yield from remove_all(job, resource)
        store: CleanStore = yield Do(lambda: operator.settings.store(document), "open store")
        for prefix in superfluous(job):
            yield Do(partial(store.delete_prefix, prefix), "retention")
        yield from remove(CONFIG_MAPS, settings)
    elif operator.cache.worker_jobs(job.uid) or operator.cache.shards(job.uid):
        # Somebody who was paused created it after the clean-up, or the cache is behind.
        for resource in (KUBERNETES_JOBS, SHARDS):
            yield from remove_all(job, resource)
    return (yield from _expire(job, operator))


def superfluous(job: JobView) -> list[str]:
    """The prefixes that `storage.retentionPolicy` does not keep of a finished run."""
    policy = ((job.document.get("spec") or {}).get("storage") or {}).get("retentionPolicy", "Results")
    if policy == "All" or not job.stages:
        return []
    if policy == "None":
        return [job.storage_prefix]
    if job.phase == "FAIL":
        return []  # What was committed serves a retry, and the errors tell why.
    return [f"{job.storage_prefix}{stage.step}/{stage.name}/" for stage in job.stages[:-1]]


def _expire(job: JobView, operator: Operator) -> Op[After]:
    seconds = (job.document.get("spec") or {}).get("ttlSecondsAfterFinished")
    ended = (job.document.get("status") or {}).get("completionTime")
    if seconds is None or ended is None:
        return DONE
    now: str = yield Do(operator.settings.stamp, "wall clock")
    left = datetime.fromisoformat(ended) + timedelta(seconds=seconds) - datetime.fromisoformat(now)
    if left > timedelta():
        return After(left.total_seconds())
    yield from remove(names.JOBS, job.document)
    return DONE
