"""Delete pods by force that do not terminate, because their node is unreachable and cannot confirm that they ended.

Such a pod is deleted when its grace period is over and its worker's Lease has expired.
That is safe even if the process still runs, because its patches test a state that does not exist any more.

The pod is marked as failed first, as Kubernetes' own garbage collector of pods does.
While it counts as running, the Kubernetes Job keeps its finalizer on it, and does not replace it.
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
from kubemr.reasons import ConditionType, Reason
from kubemr.tasks.state import Token

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

POD_POLL_SECONDS: Final = 1.0
"""How soon to check pods again that must end before a step can continue."""
GRACE_SECONDS: Final = 30.0
"""Kubernetes' default `terminationGracePeriodSeconds`, for pods without their own."""


def force_delete_stuck_pods(job: JobView, pods: Sequence[Json], context: ReconcileContext) -> Op[None]:
    """Delete those of `pods` that are overdue and whose worker is dead.  Call it every second or two."""
    now: float = yield Now()
    memory = context.memory(job.uid)
    known = memory.pods_terminating_since
    ending = {pod["metadata"]["uid"]: pod for pod in pods if pod["metadata"].get("deletionTimestamp")}
    since = memory.pods_terminating_since = {uid: known.get(uid, now) for uid in ending}
    for uid, pod in ending.items():
        grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or GRACE_SECONDS)
        dead = yield from _worker_is_dead(job, pod, context)
        if dead and now - since[uid] >= grace + context.settings.lease_seconds:
            yield from _mark_failed(job, pod, context)
            yield from remove(PODS, pod, grace_seconds=0)


def _mark_failed(job: JobView, pod: Json, context: ReconcileContext) -> Op[None]:
    """Set the pod's phase to Failed unless it has ended.  Ignore the answer, because the next check comes soon."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return
    now: str = yield Do(context.settings.now_string, "wall clock")
    conditions = list(status.get("conditions") or [])
    disrupted, reason = ConditionType.DISRUPTION_TARGET.value, Reason.NODE_UNREACHABLE.value
    if not any(each.get("type") == disrupted for each in conditions):
        conditions.append({"type": disrupted, "status": "True", "reason": reason, "lastTransitionTime": now})
    metadata = pod["metadata"]
    patch = (
        Patch()
        .test("/metadata/uid", metadata["uid"])
        .test("/metadata/resourceVersion", metadata["resourceVersion"])
        .add("/status/phase", "Failed")
        .add("/status/reason", reason)
        .add("/status/conditions", conditions)
    )
    answer: Answer = yield Target(PODS, job.namespace, metadata["name"], "status").patch(patch)
    if not answer.ok:
        log.warning("pod_status_patch_failed", pod=metadata["name"], namespace=job.namespace, error=answer.message)


def _worker_is_dead(job: JobView, pod: Json, context: ReconcileContext) -> Op[bool]:
    """Return True unless the pod's worker belongs to this run, the run is not over, and its Lease is alive."""
    if job.final:
        return True  # Its work does not count, and a read for each of many pods would be expensive.
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
