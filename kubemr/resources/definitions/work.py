"""What a job runs without an image: shell steps, or a Python file."""

# ruff: noqa: RUF009  (`prop` is attrs.field)

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from kubemr.resources import patterns
from kubemr.resources.cel_rule import Rule, exactly_one
from kubemr.resources.definitions.inputs import MAX_URL, SOURCE_RULES, KeyRef
from kubemr.resources.fields import prop

MAX_PARTITIONS = 10_000


@frozen(kw_only=True)
class Command:
    """A program that reads records from its standard input and writes them to its standard output."""

    script: str | None = prop("A script that `/bin/sh -eu` runs.", min_length=1, max_length=65_536)
    command: list[str] | None = prop(
        "A program and its arguments, which run without a shell.", min_items=1, max_items=64, items={"maxLength": 4096}
    )

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one("script", "command"),)


@frozen(kw_only=True)
class Step:
    """A map stage and a reduce stage over the job's inputs, or over the output of the step before."""

    name: str | None = prop(
        "The name of the step, unique in the job, for people.",
        unset="the number of the step",
        min_length=1,
        max_length=40,
        pattern=patterns.STEP_NAME,
    )
    mapper: Command | None = prop(
        "The command that runs once per map task.", unset="records go to the reducer unchanged"
    )
    combiner: Command | None = prop("The command that runs over the sorted output of a map task, before it is stored.")
    reducer: Command | None = prop(
        "The command that runs once per partition, over its sorted records.", unset="the sorted records are the result"
    )
    partitions: int | None = prop(
        "The number of reduce tasks of this step.  0 means that the step only maps.",
        unset="`spec.partitions`",
        minimum=0,
        maximum=MAX_PARTITIONS,
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.mapper) || has(self.reducer)",
            message="a step needs a mapper or a reducer",
            remedy="give one of them a script or a command",
            reason="FieldValueRequired",
            holds=lambda value: "mapper" in value or "reducer" in value,
        ),
        Rule(
            cel="!has(self.partitions) || self.partitions > 0 || !(has(self.reducer) || has(self.combiner))",
            message="a step of 0 partitions only maps, so its reducer and combiner would never run",
            remedy="leave them out, or give at least 1 partition",
            field="partitions",
            holds=lambda value: value.get("partitions", 1) > 0 or not ("reducer" in value or "combiner" in value),
        ),
    )


@frozen(kw_only=True)
class Source:
    """The source of a program's file.  Give `configMapKeyRef` or `url`."""

    config_map_key_ref: KeyRef | None = prop("The key of a ConfigMap that holds the file.")
    url: str | None = prop("The address of the file.", max_length=MAX_URL, pattern=patterns.READABLE_URL)
    sha256: str | None = prop("The SHA-256 of the file at `url`.", max_length=64, pattern=patterns.SHA256)

    RULES: ClassVar[tuple[Rule, ...]] = SOURCE_RULES


@frozen(kw_only=True)
class PythonProgram:
    """A Python file with a `kubemr.Job`, or with functions named after its methods."""

    source: Source = prop("The source of the file.", required=True)
    entrypoint: str | None = prop(
        "The class to run.",
        unset="the only `kubemr.Job` in the file, or its functions",
        min_length=1,
        max_length=256,
        pattern=patterns.ENTRYPOINT,
    )
    args: list[str] | None = prop(
        "Arguments for the options that the job defines.", max_items=256, items={"maxLength": 4096}
    )
    requirements: list[str] | None = prop(
        "The requirements that pip installs before the first task.",
        unset="the PEP 723 header of the file",
        max_items=100,
        items={"minLength": 1, "maxLength": 256},
    )


@frozen(kw_only=True)
class Program:
    """A program that needs no image.  Give exactly one of its members; there is only one so far."""

    python: PythonProgram | None = prop("A Python file.")

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one("python"),)
