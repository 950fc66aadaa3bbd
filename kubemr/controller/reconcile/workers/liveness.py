"""Find the dead workers of a job, by a failure detector that is kept from one step to the next.

One consistent list reads all Leases of a job, however many workers hold tasks.
It is repeated only as often as the failure detector needs.
So a thousand workers cost two pages in a quarter of a Lease's duration.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.memory import WorkerLiveness
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.pagination import PAGE
from kubemr.locks.effects import Answer, Json, Now, Op, Request
from kubemr.locks.lease import LEASES, RENEWALS_PER_DURATION, LeaseFailureDetector, duration_of
from kubemr.tasks.state import Token, parse_token

FEW: Final = 4
"""Up to this number, Leases are read one by one, which costs less than a list of all."""


def detector_of(job: JobView, context: ReconcileContext) -> LeaseFailureDetector:
    """Return the failure detector of the job's workers, which is kept from one step to the next."""
    return _liveness_of(job, context).detector


def find_dead(job: JobView, holders: Iterable[Token], context: ReconcileContext) -> Op[set[Token]]:
    """Return the dead ones among `holders`, if an observation is due.  Call it every second or two."""
    liveness = _liveness_of(job, context)
    now: float = yield Now()
    wanted = set(holders)
    if not wanted or now < liveness.next_list:
        return set()
    if len(wanted) <= FEW:
        return (yield from liveness.detector.find_dead(wanted))
    leases = yield from _list_leases(job)
    received_at: float = yield Now()
    liveness.detector.forget(now)
    if leases is None:
        liveness.detector.missed(wanted)
        return set()
    durations = [duration_of(lease, liveness.detector.duration) for lease in leases.values()]
    liveness.next_list = now + min(durations, default=0.0) / RENEWALS_PER_DURATION
    return {
        token
        for token in wanted
        if liveness.detector.is_dead(token, leases.get(job.lease_of(parse_token(token)[0]).name), now, received_at)
    }


def _list_leases(job: JobView) -> Op[dict[str, Json] | None]:
    """Return all Leases of the run by name, at one version; None as soon as a page fails.

    It does not retry, because a wait would be a gap in the observation.
    """
    query = {"labelSelector": names.selector(job.uid, job.run), "limit": str(PAGE)}
    found: dict[str, Json] = {}
    while True:
        answer: Answer = yield Request("list", LEASES, job.namespace, query=query)
        if not answer.ok:
            return None
        found.update((item["metadata"]["name"], item) for item in answer.body.get("items") or [])
        token = (answer.body.get("metadata") or {}).get("continue")
        if not token:
            return found
        query = {**query, "continue": token}


def _liveness_of(job: JobView, context: ReconcileContext) -> WorkerLiveness:
    memory = context.memory(job.uid)
    if memory.liveness is None:
        detector = LeaseFailureDetector(
            lambda token: job.lease_of(parse_token(token)[0]), context.settings.lease_seconds
        )
        memory.liveness = WorkerLiveness(detector)
    return memory.liveness
