"""Every condition type, condition reason and Event reason that kubemr writes, in one table.

Scripts and alerts compare these words, so a word changes only with a line in CHANGELOG.md.
No word of the table stands anywhere else in kubemr; `kubemr.resources.generate` writes the table to docs/api.md.

The module belongs to the lowest layer, because the operator and the workers write conditions.
It is not part of `kubemr.resources`: importing that package would nearly double the time that a worker needs to start.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Literal, Self, TypeAlias

EventType: TypeAlias = Literal["Normal", "Warning"]


@unique
class ConditionType(StrEnum):
    """The types of conditions.  `owner` is the kind of the object that has them."""

    owner: str
    meaning: str

    VALID = "Valid", "MapReduceJob", "Whether the spec is valid."
    DEPLOYED = (
        "Deployed",
        "MapReduceJob",
        "Whether everything that the job needs has been created. "
        "While the job is blocked, its reason and message say by what, as does `status.error`.",
    )
    SUSPENDED = "Suspended", "MapReduceJob", "Whether the job's workers are suspended."
    RETRIED = "Retried", "MapReduceJob", "False while a retry by `spec.restarts` waits, and when it was rejected."
    COMPLETE = "Complete", "MapReduceJob", "True when the job has completed."
    FAILED = "Failed", "MapReduceJob", "True when the job has failed; the message is that of `status.error`."
    DISRUPTION_TARGET = (
        "DisruptionTarget",
        "Pod",
        "Kubernetes' own: the pod does not count against the back-off limit of its Kubernetes Job.",
    )

    def __new__(cls, word: str, owner: str, meaning: str) -> Self:
        """Make the member that is the string `word`."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.owner = owner
        member.meaning = meaning
        return member


@unique
class Reason(StrEnum):
    """The reasons of conditions and Events.

    `conditions` are the types of the conditions that have the reason, none for an Event's only.
    `event` is the type of the Events that have it, None for a condition's only.
    """

    conditions: tuple[ConditionType, ...]
    event: EventType | None
    meaning: str

    # The job begins.
    VALID = "Valid", (ConditionType.VALID,), None, "The spec is valid."
    INVALID = (
        "Invalid",
        (ConditionType.VALID, ConditionType.FAILED),
        "Warning",
        "The spec is invalid; the message names the fields and the remedies.",
    )
    ACCEPTED = "Accepted", (), "Normal", "The job is valid and waits for an operator."
    DEPLOYING = "Deploying", (), "Normal", "An operator has acquired the job's lock and creates what the workers need."
    LISTING_INPUTS = (
        "ListingInputs",
        (ConditionType.DEPLOYED,),
        None,
        "The operator lists the files of `spec.inputsFrom`; the message says how many it has found.",
    )
    DEPLOYED = "Deployed", (ConditionType.DEPLOYED,), "Normal", "Everything that the workers need has been created."

    # The job is blocked, and continues by itself when the cause is gone.
    INPUTS_UNAVAILABLE = (
        "InputsUnavailable",
        (ConditionType.DEPLOYED,),
        "Warning",
        "The files of `spec.inputsFrom` cannot be listed or recorded now; the operator tries again.",
    )
    STORAGE_NOT_READY = (
        "StorageNotReady",
        (ConditionType.DEPLOYED,),
        "Warning",
        "The job's storage, or the Secret with its keys, is missing or unusable; the operator tries again.",
    )
    NO_PODS_CREATED = "NoPodsCreated", (ConditionType.DEPLOYED,), "Warning", "Kubernetes has not created any pods yet."
    PODS_FAILING = "PodsFailing", (ConditionType.DEPLOYED,), "Warning", "Pods have failed and none runs."
    IMAGE_PULL_BACK_OFF = (
        "ImagePullBackOff",
        (ConditionType.DEPLOYED,),
        "Warning",
        "No pod runs: a kubelet cannot pull an image.",
    )
    INVALID_IMAGE_NAME = (
        "InvalidImageName",
        (ConditionType.DEPLOYED,),
        "Warning",
        "No pod runs: the name of an image is invalid.",
    )
    ERR_IMAGE_NEVER_PULL = (
        "ErrImageNeverPull",
        (ConditionType.DEPLOYED,),
        "Warning",
        "No pod runs: an image is not on the node, and its `imagePullPolicy` is `Never`.",
    )
    CREATE_CONTAINER_CONFIG_ERROR = (
        "CreateContainerConfigError",
        (ConditionType.DEPLOYED,),
        "Warning",
        "No pod runs: what a container refers to, such as a Secret or ConfigMap, is missing or unusable.",
    )
    CREATE_CONTAINER_ERROR = (
        "CreateContainerError",
        (ConditionType.DEPLOYED,),
        "Warning",
        "No pod runs: a kubelet cannot create a container.",
    )
    RUN_CONTAINER_ERROR = (
        "RunContainerError",
        (ConditionType.DEPLOYED,),
        "Warning",
        "No pod runs: a kubelet cannot start a container, e.g. because its command does not exist.",
    )
    CRASH_LOOP_BACK_OFF = (
        "CrashLoopBackOff",
        (ConditionType.DEPLOYED,),
        "Warning",
        "No pod runs: a container, such as an init container, fails again and again.",
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        (ConditionType.DEPLOYED,),
        "Warning",
        "No pod runs: the scheduler finds no node. Reasons of other schedulers become this one.",
    )
    SCHEDULING_GATED = (
        "SchedulingGated",
        (ConditionType.DEPLOYED,),
        "Warning",
        "No pod runs: the pods have scheduling gates.",
    )
    SCHEDULER_ERROR = (
        "SchedulerError",
        (ConditionType.DEPLOYED,),
        "Warning",
        "No pod runs: the scheduler has failed.",
    )
    UNBLOCKED = "Unblocked", (), "Normal", "What blocked the job is gone."

    # The spec changes while the job runs.
    SCALED = "Scaled", (), "Normal", "The number of workers follows `spec.replicas`."
    SUSPENDED = (
        "Suspended",
        (ConditionType.SUSPENDED,),
        "Normal",
        "The workers are suspended because `spec.suspend` is true.",
    )
    SUSPENDED_EXTERNALLY = (
        "SuspendedExternally",
        (ConditionType.SUSPENDED,),
        "Normal",
        "Another controller, such as Kueue, has suspended the workers' Kubernetes Job.",
    )
    RESUMED = "Resumed", (ConditionType.SUSPENDED,), "Normal", "The workers are no longer suspended."
    WORKERS_RESTARTED = (
        "WorkersRestarted",
        (),
        "Warning",
        "The workers' Kubernetes Job ended or was deleted before the job was done; the operator has created another.",
    )

    # The job ends.
    ALL_TASKS_DONE = "AllTasksDone", (ConditionType.COMPLETE,), None, "All tasks are committed."
    COMPLETE = "Complete", (), "Normal", "The job has completed; the message says how many results it has."
    TASK_FAILED = (
        "TaskFailed",
        (ConditionType.FAILED,),
        None,
        "A task has failed, or its workers have died, too often; see `spec.maxAttempts`.",
    )
    INVALID_INPUTS = (
        "InvalidInputs",
        (ConditionType.FAILED,),
        None,
        "What `spec.inputsFrom` names does not exist or is malformed; the message names the remedy.",
    )
    INPUTS_REJECTED = (
        "InputsRejected",
        (ConditionType.FAILED,),
        None,
        "The apiserver rejects the record of what was found for `spec.inputsFrom`.",
    )
    WORKER_JOB_REJECTED = (
        "WorkerJobRejected",
        (ConditionType.FAILED,),
        None,
        "The apiserver rejects the workers' Kubernetes Job.",
    )
    WORKERS_FAILED = (
        "WorkersFailed",
        (ConditionType.FAILED,),
        None,
        "The workers failed before they started their work, or their Kubernetes Job ended too often.",
    )
    SHARD_DELETED = "ShardDeleted", (ConditionType.FAILED,), None, "A task shard was deleted."
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        (ConditionType.FAILED,),
        None,
        "The job ran for longer than `spec.activeDeadlineSeconds`.",
    )
    FAILED = "Failed", (), "Warning", "The job has failed; the message is that of `status.error`."

    # The job is retried.
    RETRIED = "Retried", (), "Normal", "Another run of the job begins."
    RETRY_REJECTED = (
        "RetryRejected",
        (ConditionType.RETRIED,),
        "Warning",
        "The job cannot be retried; the message says why.",
    )
    WAITING_FOR_PODS = (
        "WaitingForPods",
        (ConditionType.RETRIED,),
        "Warning",
        "The next run waits for pods of the last run to end.",
    )

    # The job is deleted.
    STORAGE_CLEANUP_FAILED = (
        "StorageCleanupFailed",
        (),
        "Warning",
        "The objects of a job that is being deleted cannot be removed from its storage; the operator tries again.",
    )
    STORAGE_ORPHANED = (
        "StorageOrphaned",
        (),
        "Warning",
        "The job was released with objects left in its storage; the operators try to remove them from time to time.",
    )

    # A node does not answer.
    NODE_UNREACHABLE = (
        "NodeUnreachable",
        (ConditionType.DISRUPTION_TARGET,),
        None,
        "The operator removes a pod by force: it did not end in time, and its worker's Lease has expired.",
    )

    def __new__(cls, word: str, conditions: tuple[ConditionType, ...], event: EventType | None, meaning: str) -> Self:
        """Make the member that is the string `word`."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.conditions = conditions
        member.event = event
        member.meaning = meaning
        return member
