"""Which worker of which job a process is, and whether the job still needs it."""

from __future__ import annotations

from enum import Enum

from attr import frozen

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.locks.conditional import Target, read
from kubemr.locks.effects import Op, Random, Sleep
from kubemr.locks.lease import LEASES
from kubemr.tasks.state import Token, parse_token
from kubemr.worker.scheduling import contention


class ExitReason(Enum):
    """Why a worker exits."""

    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    GONE = "the job was deleted"
    SUPERSEDED = "another run of the job has begun"
    SCALED_DOWN = "the job continues and does not need this worker any more"


@frozen
class Identity:
    """Which worker of which run of which job a process is; `lease_seconds` is the duration of the Leases."""

    namespace: str
    job: str
    uid: str
    run: int
    token: Token
    lease_seconds: float

    @property
    def index(self) -> int:
        """The worker's index."""
        return parse_token(self.token)[0]

    def lease_of(self, token: Token) -> Target:
        """Return the Lease that the worker with `token` must hold."""
        base = names.base(self.job, self.uid, self.run)
        return Target(LEASES, self.namespace, names.lease(base, parse_token(token)[0]))


def read_job(identity: Identity) -> Op[JobView | ExitReason]:
    """Read the job; return it, or the reason why the worker must exit."""
    document = yield from read(Target(names.JOBS, identity.namespace, identity.job))
    if document is None or document["metadata"]["uid"] != identity.uid:
        return ExitReason.GONE
    job = JobView.of(document)
    if document["metadata"].get("deletionTimestamp"):
        return ExitReason.GONE
    if job.run != identity.run:
        return ExitReason.SUPERSEDED
    if job.final:
        return ExitReason(job.phase)
    return job


def read_job_at_start(identity: Identity) -> Op[JobView | ExitReason]:
    """Read the job for the first time; in a job of many workers, then pause within the jitter window."""
    job = yield from read_job(identity)
    delay = 0.0 if isinstance(job, ExitReason) else contention.jitter_window(job.replicas)
    if delay:
        yield Sleep(delay * (yield Random()))
    return job
