"""The specification that a user writes: `MapReduceJob.spec`."""

# ruff: noqa: RUF009  (`prop` is attrs.field)

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from kubemr.resources import patterns
from kubemr.resources.cel_rule import Rule, only_grows, unchanged
from kubemr.resources.definitions.inputs import InputFormat, InputSource, JobFile, Split
from kubemr.resources.definitions.output import Output, Resources, Storage
from kubemr.resources.definitions.work import MAX_PARTITIONS, Program, Step
from kubemr.resources.fields import Change, fields_of, prop
from kubemr.resources.json_types import Json

MAX_INLINE_INPUTS = 128 * 1024
"""The largest sum of the bytes of all `inputs`, in UTF-8."""
MAX_JOBARGS = 64 * 1024
"""The largest sum of the bytes of all values of `jobargs`, in UTF-8, and of the characters of their names.

Each change of its status writes the whole job, and every worker reads it repeatedly.
"""

MAX_INT32 = 2**31 - 1
WEEK = 7 * 86_400


@frozen(kw_only=True)
class JobSpec:
    """What the job does.  A spec without `steps` and `program` runs the workers of `image`."""

    image: str | None = prop(
        "The image of the workers, with a `JobWorker`.  With `steps` or `program`, the image that they run in.",
        unset="with `steps` or `program`, the operator's image",
        min_length=1,
        max_length=512,
        pattern=patterns.IMAGE,
    )
    replicas: int = prop(
        "The number of workers.  It may change while the job runs (`kubectl scale`).",
        default=1,
        change=Change.ALWAYS,
        minimum=1,
        maximum=10_000,
    )
    inputs: list[str] | None = prop(
        "The inputs as literal strings, one map task each; at most 128 KiB in all.  `[]` is a job without work.",
        max_items=10_000,
        items={"minLength": 1, "maxLength": 2048},
    )
    inputs_from: list[InputSource] | None = prop(
        "The places of the inputs, for jobs with many inputs.", min_items=1, max_items=64
    )
    input_format: InputFormat | None = prop("How the bytes of the inputs become records.")
    split: Split | None = prop("How inputs become map tasks.")
    files: list[JobFile] | None = prop("Small files in the working directory of every task.", max_items=64)
    steps: list[Step] | None = prop("The map and reduce stages as shell commands.", min_items=1, max_items=16)
    program: Program | None = prop("A program that needs no image.")
    partitions: int = prop(
        "The number of reduce tasks.  0 means that the job only maps.  A step may set another number.",
        default=32,
        minimum=0,
        maximum=MAX_PARTITIONS,
    )
    output: Output | None = prop("Where the results of steps and programs are published.", unset="in `storage`")
    jobargs: dict[str, str] | None = prop(
        "Arguments that are passed to the worker; at most 64 KiB in all, with their names.",
        max_properties=256,
        items={"maxLength": 4096},
    )
    max_attempts: int = prop(
        "The number of failed attempts at a task after which the job fails.  1 means a single attempt.",
        default=4,
        change=Change.WITH_RESTART,
        minimum=1,
        maximum=100,
    )
    task_timeout_seconds: int = prop(
        "The time in seconds after which an attempt fails if its task shows no progress.",
        default=600,
        change=Change.WITH_RESTART,
        minimum=1,
        maximum=WEEK,
    )
    active_deadline_seconds: int | None = prop(
        "The time in seconds after which a running job fails.",
        unset="no limit",
        change=Change.ALWAYS,
        minimum=1,
        maximum=MAX_INT32,
    )
    ttl_seconds_after_finished: int | None = prop(
        "The time in seconds after which a finished job is deleted.",
        unset="the job is kept",
        change=Change.ALWAYS,
        minimum=0,
        maximum=MAX_INT32,
    )
    suspend: bool = prop("While it is true, the job has no pods.", default=False, change=Change.ALWAYS)
    storage: Storage = prop("Where the outputs of tasks are stored.", default={})
    resources: Resources | None = prop("The resources of each worker's container.", change=Change.WITH_RESTART)
    template: dict[str, Json] | None = prop(
        "A pod template (`metadata`, `spec`) into which the worker's container is merged.",
        change=Change.WITH_RESTART,
    )
    restarts: int = prop(
        "The number of retries.  A raised number retries a failed job.  `status.observedRestarts` shows the number of "
        "the present run.  The condition `Retried` says why there is no other run, or not yet.",
        default=0,
        change=Change.GROW,
        minimum=0,
        maximum=1000,
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!(has(self.steps) && has(self.program))",
            message="at most one of steps and program is possible",
            remedy="leave one of them out",
            reason="FieldValueForbidden",
            holds=lambda spec: not ("steps" in spec and "program" in spec),
        ),
        Rule(
            cel="has(self.image) || has(self.steps) || has(self.program)",
            message="a job without steps and program needs the image of its workers",
            remedy="give image, steps or program",
            field="image",
            reason="FieldValueRequired",
            holds=lambda spec: "image" in spec or "steps" in spec or "program" in spec,
        ),
        Rule(
            cel="has(self.inputs) != has(self.inputsFrom)",
            message="exactly one of inputs and inputsFrom is needed",
            remedy="list the inputs, or name their places in inputsFrom; write inputs: [] for a job without work",
            holds=lambda spec: ("inputs" in spec) != ("inputsFrom" in spec),
        ),
        Rule(
            cel=f"!has(self.inputs) || self.inputs.map(i, bytes(i).size()).sum() <= {MAX_INLINE_INPUTS}",
            message=f"inputs must have at most {MAX_INLINE_INPUTS} bytes in all",
            remedy="write them to an object, one per line, and name it in inputsFrom as a manifest",
            field="inputs",
            holds=lambda spec: sum(len(i.encode()) for i in spec.get("inputs", ())) <= MAX_INLINE_INPUTS,
        ),
        Rule(
            cel=(
                "!has(self.jobargs)"
                f" || self.jobargs.map(k, k.size() + bytes(self.jobargs[k]).size()).sum() <= {MAX_JOBARGS}"
            ),
            message=f"jobargs must have at most {MAX_JOBARGS} bytes in all, with their names",
            remedy="write large values to storage, and give their addresses as jobargs",
            field="jobargs",
            holds=lambda spec: sum(len(k) + len(v.encode()) for k, v in spec.get("jobargs", {}).items()) <= MAX_JOBARGS,
        ),
        Rule(
            cel="!has(self.output) || has(self.steps) || has(self.program)",
            message="output is for steps and program; the workers of an image store their results themselves",
            remedy="leave output out, or give steps or program",
            field="output",
            reason="FieldValueForbidden",
            holds=lambda spec: "output" not in spec or "steps" in spec or "program" in spec,
        ),
        Rule(
            cel="!has(self.split) || has(self.inputsFrom) || has(self.steps) || has(self.program)",
            message="split is for inputsFrom; each of inputs is one map task",
            remedy="leave split out, or name the files in inputsFrom",
            field="split",
            reason="FieldValueForbidden",
            holds=lambda spec: "split" not in spec or any(key in spec for key in ("inputsFrom", "steps", "program")),
        ),
        Rule(
            cel="!has(self.inputFormat) || has(self.split) || has(self.steps) || has(self.program)",
            message="inputFormat applies to files that are split; the workers of an image read whole inputs themselves",
            remedy="give split ({} for 64Mi a task), or leave inputFormat out",
            field="inputFormat",
            reason="FieldValueForbidden",
            holds=lambda spec: "inputFormat" not in spec or any(key in spec for key in ("split", "steps", "program")),
        ),
    )


def transition_rules() -> tuple[Rule, ...]:
    """Return the rules on what must not change, from the `change` of each field of `JobSpec`."""
    rules = []
    for field in fields_of(JobSpec):
        change = field.prop.change
        if change is Change.GROW:
            rules.append(only_grows(field.key))
        elif change is not Change.ALWAYS:
            rules.append(unchanged(field.key, restart=change is Change.WITH_RESTART))
    return tuple(rules)
