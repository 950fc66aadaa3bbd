"""What this operator process remembers of one job between two reconcile steps.

None of it is state of the job.
An operator that takes over a job starts with an empty memory, and reaches the same result a little later.
kopf has `ResourceMemory` for the same purpose.
"""

from __future__ import annotations

from attr import define, field

from kubemr.locks.lease import LeaseFailureDetector

NEVER = float("-inf")


@define
class WorkerLiveness:
    """The failure detector of a job's workers, and when to list all of their Leases again."""

    detector: LeaseFailureDetector
    next_list: float = NEVER


@define
class JobMemory:
    """Times are seconds of this process's monotonic clock."""

    liveness: WorkerLiveness | None = None
    """None until a worker was suspected, and again after the end of the run."""
    pods_terminating_since: dict[str, float] = field(factory=dict)
    """When each pod, by its uid, was first seen with a deletionTimestamp."""
    pods_checked_at: float = NEVER
    """When the pods were last listed to look for problems."""
    counts_patched_at: float = NEVER
    """When the counts in the job's status were last patched."""
