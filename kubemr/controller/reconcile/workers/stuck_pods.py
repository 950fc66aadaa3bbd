"""Pods that have been told to end and do not: their node is unreachable, and nobody there can say that they are gone.

Such a pod is removed by force when its time to end has passed and its worker's Lease has expired.  That is safe even if
the process still runs: whatever it sends tests a state that is no longer its own.

It is marked as failed first, as Kubernetes' own collector of pods does: while it counts as running, the Kubernetes Job
keeps its finalizer on it, and does not replace it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.objects.delete import remove
from kubemr.controller.reconcile.workers.liveness import detector_of
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import JOB_COMPLETION_INDEX, PODS
from kubemr.locks.conditional import Target, read
from kubemr.locks.effects import Answer, Do, Json, Now, Op
from kubemr.locks.patch import Patch, lookup
from kubemr.tasks.state import Token

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

GRACE_SECONDS: Final = 30.0
"""Kubernetes' own `terminationGracePeriodSeconds`, where the pod does not say."""
DISRUPTED: Final = "DisruptionTarget"
"""The condition of a pod that ended through no fault of its own: it does not count against the Job's back-off limit."""
REASON: Final = "NodeUnreachable"


def force_delete_stuck_pods(job: JobView, pods: Sequence[Json], context: ReconcileContext) -> Op[None]:
    """Remove those of `pods` that are overdue and whose worker is dead.  To be called every second or two."""
    now: float = yield Now()
    memory = context.memory(job.uid)
    known = memory.pods_terminating_since
    ending = {pod["metadata"]["uid"]: pod for pod in pods if pod["metadata"].get("deletionTimestamp")}
    since = memory.pods_terminating_since = {uid: known.get(uid, now) for uid in ending}
    for uid, pod in ending.items():
        grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or GRACE_SECONDS)
        dead = yield from _dead(job, pod, context)
        if dead and now - since[uid] >= grace + context.settings.lease_seconds:
            yield from _mark_failed(job, pod, context)
            yield from remove(PODS, pod, grace_seconds=0)


def _mark_failed(job: JobView, pod: Json, context: ReconcileContext) -> Op[None]:
    """Say on the pod that it has ended, unless it does; whatever the answer is, the next look comes soon."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return
    now: str = yield Do(context.settings.now_string, "wall clock")
    conditions = list(status.get("conditions") or [])
    if not any(each.get("type") == DISRUPTED for each in conditions):
        conditions.append({"type": DISRUPTED, "status": "True", "reason": REASON, "lastTransitionTime": now})
    metadata = pod["metadata"]
    patch = (
        Patch()
        .test("/metadata/uid", metadata["uid"])
        .test("/metadata/resourceVersion", metadata["resourceVersion"])
        .add("/status/phase", "Failed")
        .add("/status/reason", REASON)
        .add("/status/conditions", conditions)
    )
    answer: Answer = yield Target(PODS, job.namespace, metadata["name"], "status").patch(patch)
    if not answer.ok:
        log.warning("pod_not_marked", pod=metadata["name"], namespace=job.namespace, error=answer.message)


def _dead(job: JobView, pod: Json, context: ReconcileContext) -> Op[bool]:
    """Whether the pod's worker, if it is of this run and the run is not over, holds no Lease that is alive."""
    if job.final:
        return True  # Nothing that it does counts; and many pods end then, each of which would cost a read.
    labels = pod["metadata"].get("labels") or {}
    index = (
        labels.get(JOB_COMPLETION_INDEX) or (pod["metadata"].get("annotations") or {}).get(JOB_COMPLETION_INDEX) or ""
    )
    if labels.get(names.LABEL_RUN) != str(job.run) or not index.isdecimal():
        return True
    lease: Json = yield from read(job.lease_of(int(index)))
    holder = lookup(lease, "/spec/holderIdentity") if lease is not None else None
    if not holder:
        return True
    token = Token(holder)
    return token in (yield from detector_of(job, context).find_dead({token}))
