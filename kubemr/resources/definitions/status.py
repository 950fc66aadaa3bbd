"""The state of a job: `MapReduceJob.status`.  Its size does not depend on the number of tasks."""

# ruff: noqa: RUF009  (`prop` is attrs.field)

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import frozen

from kubemr.resources.cel_rule import Rule
from kubemr.resources.fields import prop

Phase = Literal["PENDING", "DEPLOYING", "DEPLOYED", "COMPLETE", "FAIL"]

MAX_TASKS = 2**31 - 1
MAX_ERROR = 4096
MAX_RESULTS = 256
"""How many results `status.results` lists.  If there are more, `status.resultsManifest` names a list."""
MAX_RESULT = 4096
"""Characters of one result."""
MAX_BYTES = 2**53
"""The largest sum of the bytes of all inputs: the largest number that every JSON reader holds exactly."""


@frozen(kw_only=True)
class StageStatus:
    """The progress of one stage."""

    step: int = prop("The number of the step, from 0.", required=True, minimum=0, maximum=1000)
    name: str = prop(
        "The name of the stage: `map` or `reduce`.", required=True, min_length=1, max_length=16, pattern=r"^[a-z]+$"
    )
    shards: int = prop("The number of shards of the stage.", default=0, minimum=0, maximum=MAX_TASKS)
    total: int = prop("The number of tasks of the stage.", default=0, minimum=0, maximum=MAX_TASKS)
    pending: int | None = prop(
        "The number of tasks without a holder, which a worker may claim.", minimum=0, maximum=MAX_TASKS
    )
    running: int | None = prop("The number of tasks that a worker holds.", minimum=0, maximum=MAX_TASKS)
    done: int | None = prop("The number of committed tasks.", minimum=0, maximum=MAX_TASKS)
    failed: int | None = prop("The number of tasks that have failed and are not retried.", minimum=0, maximum=MAX_TASKS)
    start_time: str | None = prop("When the stage began.", format="date-time", max_length=64)
    completion_time: str | None = prop(
        "When the last task of the stage was committed.", format="date-time", max_length=64
    )


@frozen(kw_only=True)
class InputsStatus:
    """The inputs that `spec.inputsFrom` names, found once for all runs.  The split plan is in the job's storage."""

    plan: str = prop(
        "The name of the split plan in the job's storage.",
        required=True,
        min_length=1,
        max_length=64,
        pattern=r"^[-0-9a-z]+$",
    )
    tasks: int = prop("The number of map tasks.", required=True, minimum=0, maximum=MAX_TASKS)
    tasks_per_chunk: int = prop(
        "The number of tasks whose inputs one object of the split plan holds.",
        required=True,
        minimum=1,
        maximum=MAX_TASKS,
    )
    files: int = prop("The number of files that were found.", default=0, minimum=0, maximum=2**53)
    bytes: int = prop(
        "The sum of their sizes in bytes, as far as they are known.", default=0, minimum=0, maximum=MAX_BYTES
    )


@frozen(kw_only=True)
class Condition:
    """A `metav1.Condition`: `Valid`, `Deployed`, `Suspended`, `Retried`, `Complete` or `Failed`."""

    type: str = prop(
        "The name of the condition.", required=True, min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$"
    )
    status: Literal["True", "False", "Unknown"] = prop("Whether the condition holds.", required=True)
    observed_generation: int | None = prop(
        "The generation of the spec that the condition describes.", minimum=0, maximum=2**53
    )
    last_transition_time: str = prop("When `status` last changed.", required=True, format="date-time", max_length=64)
    reason: str = prop(
        "The reason in one word, for programs.",
        required=True,
        min_length=1,
        max_length=1024,
        pattern=r"^[A-Za-z][A-Za-z0-9_]*$",
    )
    message: str = prop("The reason in words, for people.", default="", max_length=MAX_ERROR)


@frozen(kw_only=True)
class JobStatus:
    """The state of the job."""

    phase: Phase | None = prop("The phase of the job.  COMPLETE and FAIL are final, unless the job is retried.")
    stage: str | None = prop(
        "The present stage: `map`, or `1/map` in a job of several steps.",
        max_length=32,
        pattern=r"^([0-9]+/)?[a-z]+$",
    )
    stages: list[StageStatus] | None = prop("All stages in order.", max_items=64, x_list_map_keys=["step", "name"])
    inputs: InputsStatus | None = prop("The inputs that `spec.inputsFrom` names.")
    progress: str | None = prop("The committed tasks and all tasks of the present stage, e.g. `12/40`.", max_length=32)
    run: int | None = prop("The number of the run, from 1; a retry raises it.", minimum=1, maximum=1001)
    error: str | None = prop("Why the job has failed, or what blocks its progress.", max_length=MAX_ERROR)
    lockholder: str | None = prop("The identity of the operator that reconciles the job.", max_length=512)
    results: list[str] | None = prop(
        "The outputs of the last stage, in the order of its tasks.",
        max_items=MAX_RESULTS,
        items={"maxLength": MAX_RESULT},
    )
    results_manifest: str | None = prop(
        "The address of an object that lists all results, if `results` cannot hold them.", max_length=MAX_RESULT
    )
    result_count: int | None = prop("The number of results.", minimum=0, maximum=MAX_TASKS)
    conditions: list[Condition] | None = prop(
        "The conditions of the job, as in other Kubernetes objects.", max_items=16, x_list_map_keys=["type"]
    )
    observed_generation: int | None = prop(
        "The generation of the spec that the operator has processed last.", minimum=0, maximum=2**53
    )
    observed_restarts: int | None = prop("The value of `spec.restarts` for the present run.", minimum=0, maximum=1000)
    replicas: int | None = prop("The number of running workers.", minimum=0, maximum=1_000_000)
    selector: str | None = prop("A label selector for the workers' pods, for autoscalers.", max_length=512)
    start_time: str | None = prop("When the run was deployed.", format="date-time", max_length=64)
    completion_time: str | None = prop("When the job reached a final phase.", format="date-time", max_length=64)

    RULES: ClassVar[tuple[Rule, ...]] = ()
