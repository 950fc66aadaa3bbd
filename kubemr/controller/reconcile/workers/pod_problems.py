"""The pods do not come up: why, in the words of Kubernetes, on the job itself and within half a minute.

Pods are looked at while none of a job's is known to be ready, or some do not end: nothing is followed all the time.  As
soon as one pod runs the job is getting on, and what was said is taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.status.blocked import DEPLOYED, STORAGE, clear_blocked, reason_of, report_blocked
from kubemr.controller.reconcile.workers.stuck_pods import force_delete_stuck_pods
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import PODS
from kubemr.coordination.pagination import list_all
from kubemr.locks.effects import Do, Json, Now, Op
from kubemr.locks.lease import RENEWALS_PER_DURATION

CHECK_SECONDS: Final = 5.0
SAMPLE: Final = 100
"""Pods that are looked at: what is wrong with one is usually wrong with all."""
UNREADY_SECONDS: Final = 15.0
"""How long Kubernetes may take to create the first pod."""
TOLD_TO_END: Final = 143
"""The exit code of a worker that got SIGTERM."""
_PULL: Final = ("ErrImagePull", "ImagePullBackOff")
_WAITING: Final = (
    *_PULL,
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
)


def check_pods(job: JobView, workers: Json, context: ReconcileContext) -> Op[None]:
    """Say what is wrong with the pods of the Kubernetes Job, if none of them runs."""
    status = workers.get("status") or {}
    if status.get("ready") and not status.get("terminating") and not _told(job):
        return
    now: float = yield Now()
    # Pods that end are looked at as often as it takes to see that their workers' Leases stand still.
    interval = min(CHECK_SECONDS, context.settings.lease_seconds / RENEWALS_PER_DURATION)
    if now - context.memory(job.uid).pods_checked_at < (interval if status.get("terminating") else CHECK_SECONDS):
        return
    context.memory(job.uid).pods_checked_at = now
    selector = names.selector(job.uid, job.run)
    pods = (yield from list_all(PODS, job.namespace, selector, limit=SAMPLE)).items
    yield from force_delete_stuck_pods(job, pods, context)
    found = diagnose_pods(pods)
    if not pods and (yield from _overdue(job, context)):
        name = workers["metadata"]["name"]
        message = f"Kubernetes has created no pods yet; kubectl describe job {name} tells why"
        found = ("NoPods", message)
    if found is not None:
        if not _told(job) or reason_of(job) != found[0]:
            yield from report_blocked(job, context, *found)
    elif _told(job) and any(_runs(pod) for pod in pods):
        yield from clear_blocked(job, context)


def diagnose_pods(pods: Sequence[Json]) -> tuple[str, str] | None:
    """A reason and a message, when no pod runs and Kubernetes says why."""
    if any(_runs(pod) for pod in pods):
        return None
    found = [problem for pod in pods if (problem := _problem(pod)) is not None]
    if found:
        reason, message = found[0]
        return reason, f"{sum(each[0] == reason for each in found)} of {len(pods)} pods: {message}"
    phases = [(pod.get("status") or {}).get("phase") for pod in pods]
    if "Failed" in phases and set(phases) <= {"Failed", "Succeeded"}:
        failed = phases.count("Failed")
        return (
            "PodsFail",
            f"{failed} of {len(pods)} pods have failed and none runs, the last one: {termination_message(pods)}",
        )
    return None


def termination_message(pods: Sequence[Json]) -> str:
    """What the pod that failed last left as its termination message; one that failed by itself, if there is any.

    When Kubernetes gives up it tells the pods that still run to end: what they say is not why.
    """
    said: list[tuple[bool, str, str]] = []
    for pod in pods:
        for container in (pod.get("status") or {}).get("containerStatuses") or []:
            terminated = (container.get("state") or {}).get("terminated") or {}
            code = terminated.get("exitCode")
            if code:  # A worker that has left, or whose job is over, ends with 0.
                words = (terminated.get("message") or "").strip() or f"exit code {code}"
                own = code != TOLD_TO_END
                said.append((own, terminated.get("finishedAt") or "", f"pod {pod['metadata']['name']}: {words}"))
    return max(said)[2] if said else ""


def _told(job: JobView) -> bool:
    """Whether the job says that its pods do not come up."""
    return bool((job.document.get("status") or {}).get("error")) and reason_of(job) not in (DEPLOYED, STORAGE, "")


def _runs(pod: Json) -> bool:
    running = (pod.get("status") or {}).get("phase") == "Running"
    return running and not pod["metadata"].get("deletionTimestamp") and _problem(pod) is None


def _problem(pod: Json) -> tuple[str, str] | None:
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason")
        if reason in _PULL:
            return (
                "ImagePullBackOff",
                f"image {container.get('image')!r}: {waiting.get('message') or 'cannot be pulled'}",
            )
        if reason in _WAITING:
            return reason, f"container {container.get('name')!r}: {waiting.get('message') or reason}"
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return condition.get("reason") or "Unschedulable", condition.get("message") or "cannot be scheduled"
    return None


def _overdue(job: JobView, context: ReconcileContext) -> Op[bool]:
    started = (job.document.get("status") or {}).get("startTime")
    if started is None:
        return False
    now: str = yield Do(context.settings.now_string, "wall clock")
    passed = datetime.fromisoformat(now) - datetime.fromisoformat(started)
    return passed.total_seconds() >= UNREADY_SECONDS
