"""Report on the job why its pods do not start, in the words of Kubernetes and within half a minute.

Pods are listed only while none of a job's pods is known to be ready, or some are terminating.
The operator has no watch of pods.
As soon as one pod runs the job makes progress, and the report is withdrawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.status.blocked import clear_blocked, reason_of, report_blocked
from kubemr.controller.reconcile.workers.stuck_pods import force_delete_stuck_pods
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import PODS
from kubemr.coordination.pagination import list_all
from kubemr.locks.effects import Do, Json, Now, Op
from kubemr.locks.lease import RENEWALS_PER_DURATION
from kubemr.reasons import Reason

CHECK_SECONDS: Final = 5.0
SAMPLE: Final = 100
"""The number of pods that are listed: a problem of one pod is usually a problem of all."""
UNREADY_SECONDS: Final = 15.0
"""How long Kubernetes may take to create the first pod."""
SIGTERM_EXIT_CODE: Final = 143
"""The exit code of a worker that received SIGTERM."""
_WAITING: Final[Mapping[str, Reason]] = {
    "ErrImagePull": Reason.IMAGE_PULL_BACK_OFF,  # Kubernetes alternates between the two.
    **{
        reason.value: reason
        for reason in (
            Reason.IMAGE_PULL_BACK_OFF,
            Reason.INVALID_IMAGE_NAME,
            Reason.ERR_IMAGE_NEVER_PULL,
            Reason.CREATE_CONTAINER_CONFIG_ERROR,
            Reason.CREATE_CONTAINER_ERROR,
            Reason.RUN_CONTAINER_ERROR,
            Reason.CRASH_LOOP_BACK_OFF,
        )
    },
}
"""The reasons of a kubelet for a waiting container that are problems."""
_UNSCHEDULED: Final[Mapping[str, Reason]] = {
    reason.value: reason for reason in (Reason.UNSCHEDULABLE, Reason.SCHEDULING_GATED, Reason.SCHEDULER_ERROR)
}
"""The reasons of Kubernetes' scheduler for a pod without a node.  Other schedulers may have others."""


def check_pods(job: JobView, workers: Json, context: ReconcileContext) -> Op[None]:
    """Report what is wrong with the pods of the Kubernetes Job, if none of them runs."""
    status = workers.get("status") or {}
    if status.get("ready") and not status.get("terminating") and not _is_reported(job):
        return
    now: float = yield Now()
    # Terminating pods are checked often enough to observe that their workers' Leases do not change.
    interval = min(CHECK_SECONDS, context.settings.lease_seconds / RENEWALS_PER_DURATION)
    if now - context.memory(job.uid).pods_checked_at < (interval if status.get("terminating") else CHECK_SECONDS):
        return
    context.memory(job.uid).pods_checked_at = now
    selector = names.selector(job.uid, job.run)
    pods = (yield from list_all(PODS, job.namespace, selector, limit=SAMPLE)).items
    yield from force_delete_stuck_pods(job, pods, context)
    found = diagnose_pods(pods)
    if not pods and (yield from _pods_overdue(job, context)):
        name = workers["metadata"]["name"]
        message = f"Kubernetes has created no pods yet; kubectl describe job {name} shows why"
        found = (Reason.NO_PODS_CREATED, message)
    if found is not None:
        if not _is_reported(job) or reason_of(job) != found[0]:
            yield from report_blocked(job, context, *found)
    elif _is_reported(job) and any(_is_running(pod) for pod in pods):
        yield from clear_blocked(job, context)


def diagnose_pods(pods: Sequence[Json]) -> tuple[Reason, str] | None:
    """Return a reason and a message, if no pod runs and Kubernetes says why."""
    if any(_is_running(pod) for pod in pods):
        return None
    found = [problem for pod in pods if (problem := _pod_problem(pod)) is not None]
    if found:
        reason, message = found[0]
        return reason, f"{sum(each[0] == reason for each in found)} of {len(pods)} pods: {message}"
    phases = [(pod.get("status") or {}).get("phase") for pod in pods]
    if "Failed" in phases and set(phases) <= {"Failed", "Succeeded"}:
        failed = phases.count("Failed")
        return (
            Reason.PODS_FAILING,
            f"{failed} of {len(pods)} pods have failed and none runs, the last one: {termination_message(pods)}",
        )
    return None


def termination_message(pods: Sequence[Json]) -> str:
    """Return the termination message of the pod that failed last, preferably of one that received no SIGTERM.

    When Kubernetes gives up, it ends the pods that still run: their messages do not explain the failure.
    """
    messages: list[tuple[bool, str, str]] = []
    for pod in pods:
        for container in (pod.get("status") or {}).get("containerStatuses") or []:
            terminated = (container.get("state") or {}).get("terminated") or {}
            code = terminated.get("exitCode")
            if code:  # A worker that scaled down, or whose job is over, exits with 0.
                text = (terminated.get("message") or "").strip() or f"exit code {code}"
                own = code != SIGTERM_EXIT_CODE
                messages.append((own, terminated.get("finishedAt") or "", f"pod {pod['metadata']['name']}: {text}"))
    return max(messages)[2] if messages else ""


def _is_reported(job: JobView) -> bool:
    """Return True if the job's status reports a problem of its pods."""
    others = (Reason.DEPLOYED, Reason.STORAGE_NOT_READY, "")
    return bool((job.document.get("status") or {}).get("error")) and reason_of(job) not in others


def _is_running(pod: Json) -> bool:
    running = (pod.get("status") or {}).get("phase") == "Running"
    return running and not pod["metadata"].get("deletionTimestamp") and _pod_problem(pod) is None


def _pod_problem(pod: Json) -> tuple[Reason, str] | None:
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = _WAITING.get(waiting.get("reason") or "")
        if reason is Reason.IMAGE_PULL_BACK_OFF:
            return reason, f"image {container.get('image')!r}: {waiting.get('message') or 'cannot be pulled'}"
        if reason is not None:
            return reason, f"container {container.get('name')!r}: {waiting.get('message') or reason}"
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            given = condition.get("reason") or ""
            reason = _UNSCHEDULED.get(given, Reason.UNSCHEDULABLE)
            return reason, condition.get("message") or given or "cannot be scheduled"
    return None


def _pods_overdue(job: JobView, context: ReconcileContext) -> Op[bool]:
    started = (job.document.get("status") or {}).get("startTime")
    if started is None:
        return False
    now: str = yield Do(context.settings.now_string, "wall clock")
    passed = datetime.fromisoformat(now) - datetime.fromisoformat(started)
    return passed.total_seconds() >= UNREADY_SECONDS
