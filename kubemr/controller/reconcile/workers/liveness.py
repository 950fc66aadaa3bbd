"""Which workers of a job are dead, as the operator sees it, kept from one look to the next.

A job's Leases are read by one consistent list, however many workers hold tasks, and not more often than an
observation needs: so a thousand workers cost two pages in a quarter of a Lease's duration.
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
"""So many Leases are read one by one: less than a list of all."""


def detector_of(job: JobView, context: ReconcileContext) -> LeaseFailureDetector:
    """Return the failure detector of the job's workers, which is kept from one step to the next."""
    return _liveness_of(job, context).detector


def find_dead(job: JobView, holders: Iterable[Token], context: ReconcileContext) -> Op[set[Token]]:
    """Those of `holders` that are dead, as far as a look is due; to be called every second or two."""
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
    """All Leases of the run by name, at one version; None as soon as a page is not given: a wait would be a gap."""
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
