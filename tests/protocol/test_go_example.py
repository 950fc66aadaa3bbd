"""The example in Go keeps the house rules of its language."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from support.left_out import leave_out
from support.protocolworkers import GO_WORKER, command

pytestmark = pytest.mark.long


def test_the_go_module() -> None:
    """It is formatted, `go vet` finds nothing, its own tests pass, and go.mod and go.sum need no change."""
    go = shutil.which("go") or leave_out("Go", "install Go 1.24 or newer from https://go.dev/dl/ and put it on PATH")
    command("go")  # built before, so that modules that cannot be had leave this out as well
    environ = {**os.environ, "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    for arguments in (["vet", "./..."], ["test", "./..."]):
        done = subprocess.run([go, *arguments], cwd=GO_WORKER, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    gofmt = shutil.which("gofmt") or leave_out("gofmt", "it comes with Go, in the same folder")
    done = subprocess.run([gofmt, "-l", "."], cwd=GO_WORKER, capture_output=True, text=True, check=True)
    assert done.stdout == ""
