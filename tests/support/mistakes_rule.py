"""Mistakes that the CEL rules refuse."""

from __future__ import annotations

from support.mistake import FROM, S3, SHA, Mistake, image_job, python_job, step_job

RULE = (
    Mistake(
        "steps and program",
        "rule",
        python_job("args: []") + "\nsteps: [{mapper: {command: [cat]}}]",
        "spec",
        "at most one of steps and program",
    ),
    Mistake("no image", "rule", "inputs: [a]", "spec.image", "needs the image.*give image, steps or program"),
    Mistake("no inputs", "rule", "image: i", "spec", "exactly one of inputs and inputsFrom"),
    Mistake(
        "inputs twice",
        "rule",
        image_job("inputsFrom: [{prefix: 's3://abc/'}]"),
        "spec",
        "exactly one of inputs and inputs",
    ),
    Mistake(
        "many inputs",
        "rule",
        "image: i\ninputs: [" + ", ".join([f"'{'é' * 1000}'"] * 66) + "]",
        "spec.inputs",
        "131072 bytes in all.*inputsFrom as a manifest",
    ),
    Mistake(
        "large jobargs",
        "rule",
        image_job(f"jobargs: {{{', '.join(f'a{n}: {chr(233) * 4000}' for n in range(9))}}}"),
        "spec.jobargs",
        "at most 65536 bytes in all.*give their addresses",
    ),
    Mistake(
        "output of an image", "rule", image_job("output: {url: 's3://res/x/'}"), "spec.output", "for steps and program"
    ),
    Mistake(
        "split of inputs", "rule", image_job("split: {maxFiles: 3}"), "spec.split", "each of inputs is one map task"
    ),
    Mistake(
        "inputFormat without split",
        "rule",
        "image: i\ninputsFrom: [{prefix: 's3://abc/'}]\ninputFormat: {}",
        "spec.inputFormat",
        "give split",
    ),
    Mistake(
        "a script and a command",
        "rule",
        "inputs: [a]\nsteps: [{mapper: {script: x, command: [x]}}]",
        "spec.steps[0].mapper",
        "exactly one of script, command",
    ),
    Mistake(
        "neither script nor command", "rule", step_job("reducer: {}"), "spec.steps[0].reducer", "exactly one of script"
    ),
    Mistake(
        "a step without work", "rule", "inputs: [a]\nsteps: [{partitions: 3}]", "spec.steps[0]", "mapper or a reducer"
    ),
    Mistake(
        "a reducer of 0 partitions",
        "rule",
        step_job("reducer: {command: [x]}, partitions: 0"),
        "spec.steps[0].partitions",
        "would never run",
    ),
    Mistake("an empty program", "rule", "inputs: [a]\nprogram: {}", "spec.program", "python is needed"),
    Mistake(
        "two sources",
        "rule",
        "inputs: [a]\nprogram: {python: {source: {configMapKeyRef: {name: c, key: k}, url: 'https://x/y', "
        f"sha256: '{SHA}'}}}}}}",
        "spec.program.python.source",
        "exactly one of configMapKeyRef, url",
    ),
    Mistake(
        "a url without its hash",
        "rule",
        "inputs: [a]\nprogram: {python: {source: {url: 'https://x/y.py'}}}",
        "spec.program.python.source",
        "url and sha256 must be given together",
    ),
    Mistake(
        "a prefix and a glob",
        "rule",
        FROM.format("prefix: 's3://abc/', glob: 's3://abc/*'"),
        "spec.inputsFrom[0]",
        "exactly one of prefix, glob, manifest",
    ),
    Mistake(
        "a prefix that climbs",
        "rule",
        image_job(S3.format("prefix: a/../b")),
        "spec.storage.s3.prefix",
        "must not have . or",
    ),
)
