"""Somebody deleted a task shard: what was done is not known any more, so the job fails and says which.

Making the shard anew would be worse: its tasks would run again, when other stages may have read their first attempts.
So a retry does not do it either.
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
    """True when the job was failed."""
    # All of them existed before the phase was DEPLOYED, and none is removed before it is another.
    lost = yield from describe_missing_shards(job, context)
    if not lost or not (yield from still_holds_lock(job, context)):
        return False
    return (yield from fail(job, f"{lost}; create the job anew", context.settings.now_string, Reason.SHARD_DELETED))


def describe_missing_shards(job: JobView, context: ReconcileContext) -> Op[str]:
    """Which of the run's shards are missing, in words; empty when none is.

    A cache that lacks some is only a reason to look.
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
    return f"the shard {missing[0]}{more} was deleted, and with it what is known of its tasks"
