"""Kubernetes Events: what `kubectl describe` shows.  On phase changes and failures, never per task."""

from __future__ import annotations

from typing import Final, Literal

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import EVENTS
from kubemr.locks.effects import Answer, Op, Request

MAX_MESSAGE: Final = 1024


def event(job: JobView, kind: Literal["Normal", "Warning"], reason: str, message: str, now: str) -> Op[None]:
    """Record one.  It is for people: that it could not be written changes nothing."""
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
        "type": kind,
        "reason": reason,
        "message": message[:MAX_MESSAGE],
        "source": {"component": "kubemr"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    answer: Answer = yield Request("create", EVENTS, job.namespace, body=body)
    del answer
