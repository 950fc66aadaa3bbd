"""A cluster of ours starts again after any end of the one before, and leaves nothing on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.binaries import MODULES
from support.cluster import AlreadyRunningError, description, take_lock, work_folder
from support.cluster_access import ClusterAccess
from support.cluster_machine import control_groups, is_connected, missing, processes
from support.cluster_pause import PAUSE_IMAGE
from support.cluster_site import ClusterSite
from support.left_out import leave_out

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

TESTS = MODULES.parent.parent


def command(*what: str) -> subprocess.CompletedProcess[str]:
    """Run what `make cluster` and `make cluster-down` run."""
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [sys.executable, "-m", "support.cluster_commands", *what],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def no_cluster() -> Iterator[None]:
    """The machine without a cluster; one that is running, of whoever, is not touched."""
    if os.environ.get("KUBEMR_E2E_KUBECONFIG"):
        leave_out("a cluster of our own", "unset KUBEMR_E2E_KUBECONFIG")
    if lacks := missing():
        leave_out("a cluster", "; ".join(lacks))
    try:
        take_lock(work_folder(), "a test").close()
    except AlreadyRunningError as running:
        leave_out("a machine without a cluster", f"{running}; `make cluster-down` ends it")
    command("down")
    try:
        yield
    finally:
        command("down")


def leftovers() -> list[str]:
    """What is on the machine of a cluster."""
    found = []
    for node in ClusterSite.from_environment().nodes:
        found += [f"process {pid}" for pid in processes(node)]
        found += [f"control group {path}" for path in control_groups(node)]
        if is_connected(node):
            found.append(f"device {node.device}")
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    places = (str(work_folder()), "/run/containerd", "/var/lib/kubelet", "/run/netns/cni-")
    found += [f"mount {mount}" for mount in mounts if mount.startswith(places)]
    return found


def alive(pids: dict[str, int]) -> list[str]:
    """Those of the programs that still run, under the same process id."""
    return [name for name, pid in pids.items() if not name.startswith("node") and _program(pid) == name]


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0].rpartition("/")[2]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def run_pods(access: ClusterAccess) -> None:
    """Have a container run on each node that nobody stops: what could be left behind."""
    for node in access.nodes:
        container = {"name": "main", "image": PAUSE_IMAGE, "imagePullPolicy": "Never"}
        access.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"on-{node}", "namespace": "default"},
                "spec": {"nodeName": node, "containers": [container]},
            }
        )
        access.kubectl("wait", f"pod/on-{node}", "--for=condition=Ready", "--timeout=60s")


@pytest.mark.usefixtures("no_cluster")
def test_it_is_started_twice_in_a_row_and_leaves_nothing() -> None:
    """Twice up and down; the second is empty.  A second `up` while it runs changes nothing."""
    for _ in range(2):
        command("up")
        access = ClusterAccess.load(description(work_folder()))
        assert access.pids is not None
        pids = dict(access.pids)
        assert "runs already" in command("up").stdout
        assert ClusterAccess.load(description(work_folder())).pids == pids
        assert access.get("pods", "--namespace=default")["items"] == []
        run_pods(access)
        command("down")
        assert (alive(pids), leftovers()) == ([], [])
        assert not description(work_folder()).exists()


@pytest.mark.usefixtures("no_cluster")
def test_a_killed_one_takes_its_nodes_with_it_and_the_next_one_starts() -> None:
    """`kill -9` of the process that holds everything: the kernel ends all others; `up` sweeps away what is left."""
    command("up", "2")
    access = ClusterAccess.load(description(work_folder()))
    assert access.pids is not None
    pids = dict(access.pids)
    run_pods(access)
    os.kill(int((work_folder() / "lock").read_text().split()[0]), signal.SIGKILL)
    end = time.monotonic() + 20
    nodes = ClusterSite.from_environment().nodes
    while left := [*alive(pids), *(pid for node in nodes for pid in processes(node))]:
        assert time.monotonic() < end, left
        time.sleep(0.1)
    assert "ended uncleanly" in command("load", "/nowhere/an-image.tar").stdout
    command("up")
    fresh = ClusterAccess.load(description(work_folder()))
    assert fresh.pids is not None
    assert set(fresh.pids.values()).isdisjoint(pids.values())
    assert fresh.get("pods", "--namespace=default")["items"] == []
    command("down")
    assert leftovers() == []
