"""A test that needs a server which is not built is left out by name, and fails where everything is required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEST = "tests/e2e/test_controlplane.py::test_minio_stores_an_object"


@pytest.fixture(params=["-n0", "-n1"])
def processes(request: pytest.FixtureRequest) -> str:
    """Tests that run in pytest's process, and in one of pytest-xdist."""
    return str(request.param)


def run_without_servers(cache: Path, processes: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """pytest on one test that needs MinIO, with nothing in the cache."""
    inherited = {name: value for name, value in os.environ.items() if name != "KUBEMR_REQUIRE_ALL"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", processes, TEST],
        cwd=ROOT,
        env=inherited | {"KUBEMR_CACHE": str(cache)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_left_out_by_name_with_the_remedy(tmp_path: Path, processes: str) -> None:
    """The run succeeds, and its summary says which test was left out and which command mends that."""
    done = run_without_servers(tmp_path, processes)
    assert done.returncode == 0, done.stdout
    section = done.stdout.partition("left out on this machine: 1 test")[2]
    assert "needs minio: run `make controlplane`" in section
    assert TEST in section


def test_it_fails_where_everything_is_required(tmp_path: Path, processes: str) -> None:
    """`KUBEMR_REQUIRE_ALL=1`, as in continuous integration: nothing goes missing without anybody noticing."""
    done = run_without_servers(tmp_path, processes, KUBEMR_REQUIRE_ALL="1")
    assert done.returncode == 1
    assert "needs minio: run `make controlplane`" in done.stdout
