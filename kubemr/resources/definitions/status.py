"""What has become of a job: `MapReduceJob.status`.  It stays small whatever the number of tasks."""

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
"""How many results are listed in `status.results`; beyond, `status.resultsManifest` names a list."""
MAX_RESULT = 4096
"""Characters of one result."""
MAX_BYTES = 2**53
"""Of all inputs: what every JSON reader holds exactly."""


@frozen(kw_only=True)
class StageStatus:
    """How far one stage has come."""

    step: int = prop("The number of the step, from 0.", required=True, minimum=0, maximum=1000)
    name: str = prop("`map` or `reduce`.", required=True, min_length=1, max_length=16, pattern=r"^[a-z]+$")
    shards: int = prop("How many shards the stage has.", default=0, minimum=0, maximum=MAX_TASKS)
    total: int = prop("How many tasks the stage has.", default=0, minimum=0, maximum=MAX_TASKS)
    pending: int | None = prop("Tasks that nobody holds.", minimum=0, maximum=MAX_TASKS)
    running: int | None = prop("Tasks that a worker holds.", minimum=0, maximum=MAX_TASKS)
    done: int | None = prop("Tasks that are committed.", minimum=0, maximum=MAX_TASKS)
    failed: int | None = prop("Tasks that failed for good.", minimum=0, maximum=MAX_TASKS)
    start_time: str | None = prop("When the stage began.", format="date-time", max_length=64)
    completion_time: str | None = prop("When its last task was committed.", format="date-time", max_length=64)


@frozen(kw_only=True)
class InputsStatus:
    """What was found for `spec.inputsFrom`, once for all runs.  The map tasks' inputs lie in the job's storage."""

    plan: str = prop("Where in the job's storage.", required=True, min_length=1, max_length=64, pattern=r"^[-0-9a-z]+$")
    tasks: int = prop("How many map tasks there are.", required=True, minimum=0, maximum=MAX_TASKS)
    tasks_per_chunk: int = prop(
        "Of how many tasks one object has the inputs.", required=True, minimum=1, maximum=MAX_TASKS
    )
    files: int = prop("How many files were found.", default=0, minimum=0, maximum=2**53)
    bytes: int = prop("How long they are together, as far as that is known.", default=0, minimum=0, maximum=MAX_BYTES)


@frozen(kw_only=True)
class Condition:
    """A `metav1.Condition`: `Valid`, `Deployed`, `Suspended`, `Retried`, `Complete` or `Failed`."""

    type: str = prop(
        "The condition's name.", required=True, min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$"
    )
    status: Literal["True", "False", "Unknown"] = prop("Whether it holds.", required=True)
    observed_generation: int | None = prop("The generation of the spec that it is about.", minimum=0, maximum=2**53)
    last_transition_time: str = prop("When `status` last changed.", required=True, format="date-time", max_length=64)
    reason: str = prop(
        "Why, in one word for programs.",
        required=True,
        min_length=1,
        max_length=1024,
        pattern=r"^[A-Za-z][A-Za-z0-9_]*$",
    )
    message: str = prop("Why, for people.", default="", max_length=MAX_ERROR)


@frozen(kw_only=True)
class JobStatus:
    """What has become of the job."""

    phase: Phase | None = prop("Where the job is in its life.  COMPLETE and FAIL are final, except by a retry.")
    stage: str | None = prop(
        "The stage that is on: `map`, or `1/map` in a job of several steps.",
        max_length=32,
        pattern=r"^([0-9]+/)?[a-z]+$",
    )
    stages: list[StageStatus] | None = prop(
        "All stages in their order.", max_items=64, x_list_map_keys=["step", "name"]
    )
    inputs: InputsStatus | None = prop("What was found for `spec.inputsFrom`.")
    progress: str | None = prop("Committed and all tasks of the stage that is on, e.g. `12/40`.", max_length=32)
    run: int | None = prop("The number of the run, from 1; a retry raises it.", minimum=1, maximum=1001)
    error: str | None = prop("Why the job failed, or what holds it up.", max_length=MAX_ERROR)
    lockholder: str | None = prop("Which operator drives the job.", max_length=512)
    results: list[str] | None = prop(
        "The outputs of the last stage in the order of its tasks.",
        max_items=MAX_RESULTS,
        items={"maxLength": MAX_RESULT},
    )
    results_manifest: str | None = prop(
        "An object that lists the results, when they are more than fit here.", max_length=MAX_RESULT
    )
    result_count: int | None = prop("How many results there are.", minimum=0, maximum=MAX_TASKS)
    conditions: list[Condition] | None = prop("As in other Kubernetes objects.", max_items=16, x_list_map_keys=["type"])
    observed_generation: int | None = prop("The generation of the spec last acted on.", minimum=0, maximum=2**53)
    observed_restarts: int | None = prop("The `restarts` of the run that is on.", minimum=0, maximum=1000)
    replicas: int | None = prop("How many workers are running.", minimum=0, maximum=1_000_000)
    selector: str | None = prop("A label selector for the workers' pods, for autoscalers.", max_length=512)
    start_time: str | None = prop("When the run was deployed.", format="date-time", max_length=64)
    completion_time: str | None = prop("When the job reached a final phase.", format="date-time", max_length=64)

    RULES: ClassVar[tuple[Rule, ...]] = ()
