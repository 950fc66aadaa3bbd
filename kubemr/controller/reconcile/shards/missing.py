"""Fail a job whose task shard was deleted, because the states of its tasks are lost; the error names the shard.

A new shard would be worse: its tasks would run again after other stages may have read their first attempts.
For the same reason a retry does not create the shard again.
"""

from __future__ import annotations

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.job_lock import still_holds_lock
from kubemr.coordination import names
from kubemr.coordination.advance import fail
from kubemr.coordination.job_view import LARGE_SHARDS_A_PAGE, JobView
from kubemr.coordination.pagination import Pages
from kubemr.locks.effects import Op
from kubemr.reasons import Reason
from kubemr.tasks.shard import SHARDS


def fail_if_shards_are_missing(job: JobView, context: ReconcileContext) -> Op[bool]:
    """Return True if the job was failed."""
    # All shards existed before the phase was DEPLOYED, and none is deleted before the phase changes.
    lost = yield from describe_missing_shards(job, context)
    if not lost or not (yield from still_holds_lock(job, context)):
        return False
    return (yield from fail(job, f"{lost}; create the job again", context.settings.now_string, Reason.SHARD_DELETED))


def describe_missing_shards(job: JobView, context: ReconcileContext) -> Op[str]:
    """Return a sentence about the run's missing shards; empty if none is missing.

    A cache that lacks shards is only a reason to list them.
    """
    recorded = {job.shard_name(stage, number) for stage in job.stages for number in range(stage.shards)}
    cached = {each.name for each in context.cache.shards(job.uid)}
    if recorded <= cached:
        return ""
    pages = Pages(SHARDS, job.namespace, names.selector(job.uid, job.run), LARGE_SHARDS_A_PAGE)
    left: set[str] = set()
    while (page := (yield from pages.next())) is not None:
        if page.first:
            left = set(recorded)
        left.difference_update(item["metadata"]["name"] for item in page.items)
    missing = sorted(left)
    if not missing:
        return ""
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"the shard {missing[0]}{more} was deleted, and with it the states of its tasks"
