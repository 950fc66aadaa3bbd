"""The commands of `kubemr`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from kubemr.cli import main
from support.localrun import document


def test_validate(tmp_path: Path) -> None:
    """A valid job is exit code 0 and one line; mistakes are exit code 2 and one line each."""
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(document(inputs=["a"])))
    result = CliRunner().invoke(main, ["validate", str(path)])
    assert (result.exit_code, result.stdout) == (0, "job.yaml: valid\n")
    path.write_text(yaml.safe_dump(document(inputs=["a"], replicas=0, partions=1)))
    result = CliRunner().invoke(main, ["validate", str(path)])
    assert result.exit_code == 2
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["spec.partions", "spec.replicas"]
    result = CliRunner().invoke(main, ["validate", "-"], input="a: [")
    assert result.exit_code == 2
    assert "Error: -: is not YAML" in result.stderr


def test_usage_errors() -> None:
    """The exit code is 2, and the error says what is wrong."""
    for arguments in (["run"], ["run", "x", "--replicas", "0"], ["run", "x", "--timeout", "0"], ["no-such-command"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2
        assert "Error: " in result.stderr


@pytest.mark.parametrize("name", [None, *main.commands])
def test_help_at_80_columns(name: str | None) -> None:
    """Help has examples; nothing in it is cut; each option says in a sentence what it does."""
    command = main if name is None else main.commands[name]
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["--help"] if name is None else [name, "--help"])
    assert shown.exit_code == 0
    assert "\n  Examples:\n    kubemr " in shown.stdout
    assert "..." not in shown.stdout.partition("\n")[2]
    assert max(map(len, shown.stdout.splitlines())) <= 80
    first = (command.help or "").partition(".")[0]
    assert 0 < len(first) <= 60
    for option in command.params:
        if isinstance(option, click.Option):
            assert re.match(r"[A-Z][a-z]+ .*\.", option.help or ""), option.name


def test_help_loads_no_more_than_it_needs() -> None:
    """`--help` answers at once: nothing heavy is imported for it."""
    program = (
        "import sys; from click.testing import CliRunner; from kubemr.cli import main\n"
        "assert CliRunner().invoke(main, ['run', '--help']).exit_code == 0\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {
        "aiohttp",
        "kubernetes",
        "minio",
        "rich",
        "structlog",
        "yaml",
        "kubemr.local",
        "kubemr.resources",
    }


def test_what_the_server_sets_is_not_for_manifests(tmp_path: Path) -> None:
    """Both commands reject a manifest that was read from a cluster with its version."""
    job = document(inputs=["a"])
    job["metadata"]["resourceVersion"] = "7"
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    for arguments in (["validate", str(path)], ["run", str(path), "--", "true"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2
        assert 'metadata.resourceVersion: "7": is set by the apiserver' in result.stderr
