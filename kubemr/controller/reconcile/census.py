"""The operator's view of which workers of a job are dead, kept from one look to the next."""

from __future__ import annotations

from kubemr.controller.reconcile.context import Operator
from kubemr.coordination.job import JobView
from kubemr.locks.lease import Census
from kubemr.locks.taskstate import parse_token


def census_of(job: JobView, operator: Operator) -> Census:
    """The one census of the job's workers; begun if there is none."""

    def new() -> Census:
        return Census(lambda token: job.lease_of(parse_token(token)[0]), operator.settings.lease_seconds)

    if job.uid not in operator.censuses:
        operator.censuses[job.uid] = new()
    return operator.censuses[job.uid]
