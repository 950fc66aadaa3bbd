"""Write Kubernetes Events, which `kubectl describe` shows: for changes of phase and failures, never per task."""

from __future__ import annotations

from typing import Final

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import EVENTS
from kubemr.locks.effects import Answer, Op, Request
from kubemr.reasons import Reason

MAX_MESSAGE: Final = 1024


def event(job: JobView, reason: Reason, message: str, now: str) -> Op[None]:
    """Create an Event about the job.  Ignore a refusal or a lost answer, because Events are only for people to read.

    The table in `kubemr.reasons` has the Event's type, `Normal` or `Warning`.
    """
    if reason.event is None:
        raise ValueError(f"{reason} is no reason of Events: give it a type of Event in kubemr/reasons.py")
    about = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "namespace": job.namespace,
        "name": job.name,
        "uid": job.uid,
    }
    name = f"{names.slug(job.name)}-{names.short_hash(f'{job.uid}/{job.run}/{reason}/{message}/{now}')}"
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": job.namespace},
        "involvedObject": about,
        "type": reason.event,
        "reason": reason.value,
        "message": message[:MAX_MESSAGE],
        "source": {"component": "kubemr"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    answer: Answer = yield Request("create", EVENTS, job.namespace, body=body)
    del answer
