"""Manifests that YAML can write and JSON cannot hold are rejected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from kubemr.cli import main
from kubemr.cli.manifest import load
from support.jobs import EXAMPLES

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 10)}]\n" for n in range(8)
)


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("spec:\n  replicas: .nan\n", "line 2: spec.replicas: .nan is not a number in JSON; give a finite number"),
        ("spec: {inputs: [-.inf]}", "line 1: spec.inputs[0]: -.inf is not a number"),
        ("x: 1.0e+999", "line 1: x: 1.0e+999 is not a number"),
        ("a: &a [*a]", "line 1: a[0]: refers to an object that contains it; write the value itself"),
        ("a: &a {<<: *a}", "refers to an object that contains it"),
        ("[" * 5000, "line 1: is nested more than 100 deep"),
        ("[" * 5000 + "]" * 5000, "line 1: is nested more than 100 deep"),
        (f"x: {'9' * 5000}", "line 1: x: " + "9" * 40 + "… (5000 characters) is too large"),
        (f"x: {'9' * 400}", "is too large; give a number of at most 64 bits"),
        ("a: 1\nb: 2\na: 3\n", "line 3: a: the key a occurs twice, first on line 1; remove one of them"),
        ("spec:\n  image: a\n  image: b\n", "line 3: spec.image: the key image occurs twice"),
        ('{"a": 1, "a": 1}', "line 1: a: the key a occurs twice"),
        ("on: 1", 'line 1: on: the key on is not a string; quote it: "on"'),
        ("spec: {jobargs: {1: a}}", "spec.jobargs.1: the key 1 is not a string"),
        ("? [a]\n: 1", "has a list or an object as a key"),
        ("a: !!binary aGk=", "!!binary cannot be written as JSON"),
        ("a: !!set {x}", "!!set cannot be written as JSON"),
        (BOMB, "more than 1000000 values; use fewer references"),
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_one_line_and_exit_code_2(tmp_path: Path, command: str, text: str, words: str) -> None:
    """The line names position, value and remedy; there is no traceback."""
    path = tmp_path / "job.yaml"
    path.write_text(text)
    result = CliRunner().invoke(main, [command, str(path)])
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: {path}: ")
    assert words in line


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e300"])
def test_timeout_is_a_number_of_seconds(seconds: str) -> None:
    """A time that cannot be waited for is a usage error."""
    result = CliRunner().invoke(main, ["run", "x", "--timeout", seconds])
    assert result.exit_code == 2
    assert "--timeout" in result.stderr
    assert "seconds" in result.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_jobs_are_read_as_before(tmp_path: Path, name: str) -> None:
    """The checks change no document."""
    path = tmp_path / "job.yaml"
    path.write_text(EXAMPLES[name])
    assert load(str(path)) == yaml.safe_load(EXAMPLES[name])
    path.write_text(json.dumps(yaml.safe_load(EXAMPLES[name])))
    assert load(str(path)) == yaml.safe_load(EXAMPLES[name])


def test_references_and_merges(tmp_path: Path) -> None:
    """Anchors may be used more than once, and `<<` may be overridden."""
    path = tmp_path / "job.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, x: 3}\nd: {<<: [*a, {z: 1}]}\n")
    assert load(str(path))["c"] == {"x": 3, "y": 2}
