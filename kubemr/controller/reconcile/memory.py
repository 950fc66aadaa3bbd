"""What this operator process remembers of one job between two reconcile steps.

Nothing here is state of the job: an operator that takes a job over begins with an empty memory and comes to the same
result, a little later.  kopf has `ResourceMemory` for the same purpose.
"""

from __future__ import annotations

from attr import define, field

from kubemr.locks.lease import LeaseFailureDetector

NEVER = float("-inf")


@define
class WorkerLiveness:
    """The failure detector of a job's workers, and when all of their Leases are to be listed again."""

    detector: LeaseFailureDetector
    next_list: float = NEVER


@define
class JobMemory:
    """Times are seconds of this process's monotonic clock."""

    liveness: WorkerLiveness | None = None
    """None until a worker was suspected, and again when the run has ended."""
    pods_terminating_since: dict[str, float] = field(factory=dict)
    """By the pods' uids: when each was first seen with a deletionTimestamp."""
    pods_checked_at: float = NEVER
    """When the pods were last listed to look for problems."""
    counts_patched_at: float = NEVER
    """When the counts in the job's status were last patched."""
