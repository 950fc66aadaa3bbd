"""The commands of the workers that are checked against the protocol: those of the examples, or somebody's own.

Each counts words as `examples/wordcount` does.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.left_out import leave_out
from support.workerharness import ROOT

OWN = "KUBEMR_PROTOCOL_WORKER"
"""The environment variable that names one's own worker; then it alone is checked."""
IMAGE = "KUBEMR_PROTOCOL_IMAGE"
"""The same for an image."""
ENGINES = ("docker", "podman")
GO_WORKER = ROOT / "examples" / "wordcount-go"


def kinds() -> list[str]:
    """The workers to check."""
    own = [kind for kind, name in (("own", OWN), ("image", IMAGE)) if os.environ.get(name)]
    return own or ["python", "go"]


def command(kind: str) -> list[str]:
    """How a worker is started; leaves the test out where it cannot be."""
    if kind == "own":
        return shlex.split(os.environ[OWN])
    if kind == "image":
        return [_engine(), os.environ[IMAGE]]
    if kind == "python":
        return [sys.executable, str(ROOT / "examples" / "wordcount" / "wordcount.py")]
    return [str(_built())]


def container(command: Sequence[str], name: str, directory: Path, environ: Mapping[str, str]) -> list[str]:
    """How a container of that name is run, where `command` is an image's; else the command itself."""
    if Path(command[0]).name not in ENGINES:
        return list(command)
    settings = [f"--env={key}={value}" for key, value in environ.items() if key.startswith(("KUBEMR_", "JOB_"))]
    user = f"--user={os.getuid()}:{os.getgid()}"  # who may write to the tests' directory
    place = f"--volume={directory}:{directory}"
    return [command[0], "run", "--rm", f"--name={name}", "--network=host", user, place, *settings, *command[1:]]


def signalled(command: Sequence[str], name: str, number: int) -> list[str] | None:
    """How a signal reaches the container of that name; None where `command` is no image's."""
    if Path(command[0]).name not in ENGINES:
        return None
    return [command[0], "kill", f"--signal={signal.Signals(number).name}", name]


@functools.cache
def _engine() -> str:
    """The first engine that works; a docker command without its daemon runs nothing."""
    for engine in filter(None, map(shutil.which, ENGINES)):
        if subprocess.run([engine, "info"], capture_output=True).returncode == 0:
            return engine
    return leave_out("a docker or podman that works", "install podman, or give a command: make protocol WORKER=...")


@functools.cache
def _built() -> Path:
    """The program in Go.  Go's own cache makes a second build a matter of milliseconds."""
    go = shutil.which("go")
    if go is None:
        leave_out("Go", "install Go 1.24 or newer from https://go.dev/dl/ and put it on PATH")
    folder = Path(os.environ.get("KUBEMR_CACHE") or Path.home() / ".cache" / "kubemr") / "wordcount-go"
    folder.mkdir(parents=True, exist_ok=True)
    draft, program = folder / f"wordcount-{os.getpid()}", folder / "wordcount"
    environ = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false"}
    done = subprocess.run(
        [go, "build", "-o", str(draft), "."], cwd=GO_WORKER, env=environ, capture_output=True, text=True
    )
    if done.returncode != 0 and "dial tcp" in done.stderr:
        leave_out("the Go modules of examples/wordcount-go", "run `go mod download` there, with a network")
    assert done.returncode == 0, done.stderr
    draft.replace(program)
    return program
