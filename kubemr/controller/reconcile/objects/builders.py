"""Build the objects that belong to one run of a job.

The functions are pure: whichever operator calls them, and however often, the objects are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kubemr.controller.reconcile.context import StorageSettings
from kubemr.controller.reconcile.storage.job_store import KEYS
from kubemr.coordination import names
from kubemr.coordination.job_view import DEFAULT_TASK_TIMEOUT, JobView, Stage, shard_tasks
from kubemr.coordination.kinds import LAST_APPLIED, QUEUE_NAME
from kubemr.coordination.protocol import PROTOCOL
from kubemr.coordination.task_table import TaskTable
from kubemr.locks.effects import Json
from kubemr.locks.lease import whole_seconds
from kubemr.reasons import ConditionType
from kubemr.tasks import encoding
from kubemr.tasks.state import TaskState

CONTAINER: Final = "worker"
LABEL_GENERATION: Final = "kubemr.turbobytes.com/generation"
SUSPENDED_BY_US: Final = "kubemr.turbobytes.com/suspended"
"""The annotation of a Kubernetes Job that the operator suspended, and may resume."""
MANY_WORKERS: Final = 100
LONGEST_LEASE: Final = 4.0
RESTARTS_PER_WORKER: Final = 6
"""Pod failures per worker that a Kubernetes Job tolerates before it fails.

It tolerates two more than a task may kill workers, if that is more.
So a job fails with the task's name, and not because Kubernetes gives up.
"""


def metadata(job: JobView, name: str, extra: Mapping[str, str] | None = None) -> Json:
    """Return the name, labels and owner of a child."""
    return {
        "name": name,
        "namespace": job.namespace,
        "labels": {**names.labels(job.uid, job.run), **(extra or {})},
        "ownerReferences": [names.owner(job.name, job.uid)],
    }


def account(job: JobView) -> str:
    """Return the name of the workers' service account: the run's own, unless the job's template names another."""
    pod: Json = ((job.document.get("spec") or {}).get("template") or {}).get("spec") or {}
    return str(pod.get("serviceAccountName") or names.account(job.base))


def lease_seconds(base: float, workers: int) -> float:
    """Return the duration of the Leases of a job with this number of workers; `base` is that of a small job.

    It grows with the workers from `MANY_WORKERS` on, up to `LONGEST_LEASE` times, which bounds the rate of renewals.
    The price is that a worker that is lost together with its node is declared dead that much later.
    """
    return base * min(max(workers / MANY_WORKERS, 1.0), LONGEST_LEASE)


def config_map(job: JobView, storage: StorageSettings, base_seconds: float) -> Json:
    """Return the ConfigMap with a worker's settings."""
    timeout = (job.document.get("spec") or {}).get("taskTimeoutSeconds", DEFAULT_TASK_TIMEOUT)
    data = {
        "KUBEMR_JOB_NAME": job.name,
        "KUBEMR_JOB_NAMESPACE": job.namespace,
        "KUBEMR_JOB_UID": job.uid,
        "KUBEMR_RUN": str(job.run),
        "KUBEMR_PROTOCOL": str(PROTOCOL),
        "KUBEMR_LEASE_SECONDS": f"{lease_seconds(base_seconds, job.replicas):g}",
        "KUBEMR_TASK_TIMEOUT_SECONDS": f"{timeout:g}",
        **storage.config,
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(job, names.config_map(job.base)),
        "data": data,
        "immutable": True,
    }


def secret(job: JobView, storage: StorageSettings) -> Json:
    """Return the Secret with the worker's storage keys.  Without keys no such object is created."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(job, names.secret(job.base)),
        "stringData": dict(storage.secret),
        "immutable": True,
    }


def lease(job: JobView, index: int, base_seconds: float) -> Json:
    """Return the Lease of one worker, without a holder.  It contains its duration, which never changes."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata(job, names.lease(job.base, index)),
        "spec": {"leaseDurationSeconds": whole_seconds(lease_seconds(base_seconds, job.replicas))},
    }


def carry_over(text: str) -> str:
    """Return the state with which the next run begins a task.

    A committed task keeps its state; any other task is pending, in a new epoch.
    """
    state = TaskState.parse(text)
    return text if state.committed else str(TaskState("pending", state.epoch + 1))


def shards(job: JobView, stage: Stage, before: TaskTable | None = None, *, open_: bool) -> Iterator[Json]:
    """Yield the stage's shards with all tasks pending, except for those that the previous run has committed.

    `before` has all tasks of the previous run; it is None if nothing is carried over.
    If workers share shards, no worker claims a whole shard.
    Of workers that claim parts of one entry at the same time, all but one would lose their claims.
    So in such a stage each task has its own entry from the beginning.
    """
    form = encoding.expand if job.shares(stage) else encoding.collapse
    new = str(TaskState("pending", 1))
    for number in range(stage.shards):
        tasks = shard_tasks(stage, number)
        extra = {names.LABEL_STAGE: stage.label, names.LABEL_TASKS: "open" if open_ else "waiting"}
        yield {
            "apiVersion": names.API_VERSION,
            "kind": "MapReduceTaskShard",
            "metadata": metadata(job, job.shard_name(stage, number), extra),
            "tasks": form({task: new if before is None else carry_over(before.text(task)) for task in tasks}),
        }


def workers(job: JobView, generation: int, storage: StorageSettings) -> Json:
    """Return the Indexed Kubernetes Job whose pods are the workers.

    A pod that was evicted or preempted does not count as a failure.
    One whose program fails does, up to `RESTARTS_PER_WORKER` for each worker.
    """
    spec = job.document.get("spec") or {}
    sources: list[Json] = [{"configMapRef": {"name": names.config_map(job.base)}}]
    if storage.secret:
        sources.append({"secretRef": {"name": names.secret(job.base)}})
    extra = {LABEL_GENERATION: str(generation)}
    own = metadata(job, names.workers(job.base, generation), extra)
    own["labels"] = {**_labels_of(job), **own["labels"]}
    annotations = _annotations_of(job)
    suspend: Json = {}
    if spec.get("suspend"):
        suspend = {"suspend": True}
        annotations[SUSPENDED_BY_US] = "true"
    if annotations:
        own["annotations"] = annotations
    disrupted = {"type": ConditionType.DISRUPTION_TARGET.value, "status": "True"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": own,
        "spec": {
            "completionMode": "Indexed",
            **size(job),
            **suspend,
            "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [disrupted]}]},
            "template": _pod_template(job, spec, sources, storage.secret_ref, extra),
        },
    }


def size(job: JobView) -> Json:
    """Return the part of the Kubernetes Job's spec that depends on the number of workers.

    Completions and parallelism are always equal.
    """
    return {
        "completions": job.replicas,
        "parallelism": job.replicas,
        "backoffLimit": max(RESTARTS_PER_WORKER, job.max_attempts + 2) * job.replicas,
    }


def _labels_of(job: JobView) -> dict[str, str]:
    """Return the user's labels, which schedulers and queues read."""
    return dict(job.document["metadata"].get("labels") or {})


def _annotations_of(job: JobView) -> dict[str, str]:
    given = job.document["metadata"].get("annotations") or {}
    return {key: value for key, value in given.items() if key != LAST_APPLIED}


def _pod_template(job: JobView, spec: Json, sources: list[Json], secret_ref: str, extra: Mapping[str, str]) -> Json:
    template = spec.get("template") or {}
    given = template.get("metadata") or {}
    pod = dict(template.get("spec") or {})
    containers = [dict(each) for each in pod.get("containers") or []]
    worker = next((each for each in containers if each.get("name", CONTAINER) == CONTAINER), None)
    if worker is None:
        worker = {}
        containers.insert(0, worker)
    worker["name"] = CONTAINER
    if "image" in spec:
        worker["image"] = spec["image"]
    if "resources" in spec:
        worker["resources"] = spec["resources"]
    worker["envFrom"] = [*(worker.get("envFrom") or []), *sources]
    if secret_ref:
        keys = [
            {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret_ref, "key": key}}}
            for variable, key in KEYS.items()
        ]
        worker["env"] = [*(worker.get("env") or []), *keys]
    worker.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    pod["containers"] = containers
    pod["restartPolicy"] = "Never"
    pod["serviceAccountName"] = account(job)
    labels = {key: value for key, value in _labels_of(job).items() if key != QUEUE_NAME}
    made = {
        **given,
        "labels": {**labels, **(given.get("labels") or {}), **names.labels(job.uid, job.run), **extra},
    }
    annotations = {**_annotations_of(job), **(given.get("annotations") or {})}
    if annotations:
        made["annotations"] = annotations
    return {"metadata": made, "spec": pod}
