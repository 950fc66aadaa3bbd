"""`kubemr run` as a real program, whose processes are found again by a mark in their environment."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from support.workerharness import PATIENCE, ROOT, wait_for_end

MARK = "KUBEMRTEST_MARK"


class Marked:
    """A mark that all processes inherit, a directory for their temporary files, and one for results."""

    def __init__(self, directory: Path) -> None:
        self.mark = secrets.token_hex(8)
        self.directory = directory
        self.temporary = directory / "tmp"
        self.store = directory / "store"
        self.temporary.mkdir()

    def environ(self) -> dict[str, str]:
        """What a process is to inherit."""
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return {**os.environ, MARK: self.mark, "TMPDIR": str(self.temporary), "PYTHONPATH": path}

    def processes(self) -> dict[int, tuple[list[str], dict[str, str]]]:
        """The command and the environment of every living process that has the mark."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                variables = dict(
                    pair.split("=", 1)
                    for pair in (entry / "environ").read_text("utf-8", "replace").split("\0")
                    if "=" in pair
                )
                command = (entry / "cmdline").read_text("utf-8", "replace").split("\0")
            except OSError:
                continue
            if variables.get(MARK) == self.mark:
                found[int(entry.name)] = (command, variables)
        return found

    def wait_until_none(self) -> None:
        """Wait until no process has the mark."""
        while found := self.processes():
            for pid in found:
                wait_for_end(pid)

    def files(self) -> list[str]:
        """Temporary files that are left."""
        return sorted(str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*"))

    def program(self, source: str, name: str = "worker.py") -> Path:
        """A worker program."""
        path = self.directory / name
        path.write_text("import os, signal, sys, time\nimport kubemr\n" + textwrap.dedent(source))
        return path

    def manifest(self, **spec: Any) -> Path:
        """A job's manifest."""
        path = self.directory / "job.yaml"
        path.write_text(yaml.safe_dump(document(**spec)))
        return path

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """`kubemr run --store … arguments`, with pipes."""
        command = [sys.executable, "-m", "kubemr", "run", "--store", str(self.store), *map(str, arguments)]
        return subprocess.Popen(
            command,
            env=self.environ(),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Its exit code, stdout and stderr."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err


def rest_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process still prints whose stderr has been read in part; it is told to end when that takes too long.

    `Popen.communicate` would not give what was read already but into a buffer only.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    timer = threading.Timer(PATIENCE, process.terminate)
    timer.start()
    with process:  # Which waits for its end.
        err, out = process.stderr.read(), process.stdout.read()
    timer.cancel()
    return out, err


def document(**spec: Any) -> dict[str, Any]:
    """A job for a worker that is given on the command line."""
    return {
        "apiVersion": "turbobytes.com/v1alpha1",
        "kind": "MapReduceJob",
        "metadata": {"generateName": "test-"},
        "spec": {"image": "none", "replicas": 2, "partitions": 2, **spec},
    }


def contents(urls: Sequence[str]) -> list[bytes]:
    """What lies at file addresses."""
    return [Path(unquote(urlsplit(url).path)).read_bytes() for url in urls]


def until(lines: Iterator[str], wanted: str) -> list[str]:
    """Read lines up to one that contains `wanted`."""
    read = []
    for line in lines:
        read.append(line)
        if wanted in line:
            return read
    raise AssertionError(f"ended without {wanted!r}:\n{''.join(read)}")
