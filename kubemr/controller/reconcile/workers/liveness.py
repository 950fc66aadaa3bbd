"""Which workers of a job are dead, as the operator sees it, kept from one look to the next.

A job's Leases are read by one consistent list, however many workers hold tasks, and not more often than an
observation needs: so a thousand workers cost two pages in a quarter of a Lease's duration.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attr import define, field

from kubemr.controller.reconcile.context import Operator
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.pagination import PAGE
from kubemr.locks.effects import Answer, Json, Now, Op, Request
from kubemr.locks.lease import LEASES, RENEWALS_PER_DURATION, Census, duration_of
from kubemr.tasks.state import Token, parse_token

FEW: Final = 4
"""So many Leases are read one by one: less than a list of all."""


@define
class Muster:
    """The census of one job's workers, and when all of them are to be looked at again."""

    census: Census
    next: float = field(default=float("-inf"))


def census_of(job: JobView, operator: Operator) -> Census:
    """The one census of the job's workers; begun if there is none."""
    return _muster_of(job, operator).census


def dead_among(job: JobView, holders: Iterable[Token], operator: Operator) -> Op[set[Token]]:
    """Those of `holders` that are dead, as far as a look is due; to be called every second or two."""
    muster = _muster_of(job, operator)
    now: float = yield Now()
    wanted = set(holders)
    if not wanted or now < muster.next:
        return set()
    if len(wanted) <= FEW:
        return (yield from muster.census.look(wanted))
    leases = yield from _list(job)
    answered: float = yield Now()
    muster.census.forget(now)
    if leases is None:
        muster.census.missed(wanted)
        return set()
    durations = [duration_of(lease, muster.census.duration) for lease in leases.values()]
    muster.next = now + min(durations, default=0.0) / RENEWALS_PER_DURATION
    return {
        token
        for token in wanted
        if muster.census.judge(token, leases.get(job.lease_of(parse_token(token)[0]).name), now, answered)
    }


def _list(job: JobView) -> Op[dict[str, Json] | None]:
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


def _muster_of(job: JobView, operator: Operator) -> Muster:
    if job.uid not in operator.musters:
        census = Census(lambda token: job.lease_of(parse_token(token)[0]), operator.settings.lease_seconds)
        operator.musters[job.uid] = Muster(census)
    return operator.musters[job.uid]
