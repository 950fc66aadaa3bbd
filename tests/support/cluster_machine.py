"""What a cluster's node needs of the machine, what it takes of it, and how that is given back.

The node's processes, mounts and network devices live in namespaces that end with its first process; see
`tests/e2e/cluster/node_init.py`.  Outside of these are one network device (the other end of the node's) and a control
group, which this file makes and removes; the control group tells as well what is left of a node that ended uncleanly.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from support.binaries import CLUSTER_PROGRAMS

DEVICE = "kubemr0"
"""The machine's end of the pair of devices whose other end is the node's `eth0`."""

HOST, NODE = "10.199.0.1", "10.199.0.2"
"""The addresses of both ends; the control plane and S3 listen on the first."""

PODS, SERVICES, SERVICE_OF_APISERVER = "10.199.16.0/20", "10.199.32.0/20", "10.199.32.1"
"""The networks of pods and services: the machine reaches them through the node."""

CONTROL_GROUP = "kubemr"
"""Every process of the node is in this control group, or below."""

COMMANDS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
}
"""The commands that are needed, and the Debian package of each."""

_CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
_CONTROL_GROUPS = Path("/sys/fs/cgroup")


class MachineError(Exception):
    """The machine refused something that the node needs; the message says what."""


def cni_plugins() -> Path | None:
    """The folder of the network plugins, when it is there."""
    return next((Path(folder) for folder in _CNI_FOLDERS if Path(folder, "ptp").exists()), None)


def missing_packages() -> list[str]:
    """The Debian packages of what is not installed."""
    # Where administration commands are, whoever asks.
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    packages = {package for command, package in COMMANDS.items() if shutil.which(command, path=path) is None}
    if cni_plugins() is None:
        packages.add("containernetworking-plugins")
    return sorted(packages)


def missing() -> list[str]:
    """What the machine lacks for a node, each with its remedy; nothing, when a cluster can be started."""
    found = []
    if os.geteuid() != 0:
        found.append("root: the node mounts, makes network devices and runs containers")
    if packages := missing_packages():
        found.append(f"the packages {' '.join(packages)}: `make cluster` as root installs them on Debian and Ubuntu")
    if not _hierarchies():
        found.append(f"control groups: nothing that can be written is mounted on {_CONTROL_GROUPS}")
    unbuilt = [program.name for program in CLUSTER_PROGRAMS if not program.is_built()]
    if unbuilt:
        found.append(f"the programs {' '.join(unbuilt)}: `make cluster` builds them (needs Go >= 1.26)")
    return found


def _hierarchies() -> list[Path]:
    """The roots of all hierarchies of control groups: one in version 2, several in version 1."""
    if (_CONTROL_GROUPS / "cgroup.controllers").exists():
        return [_CONTROL_GROUPS] if os.access(_CONTROL_GROUPS, os.W_OK) else []
    if not _CONTROL_GROUPS.is_dir():
        return []
    roots = {folder.resolve() for folder in _CONTROL_GROUPS.iterdir() if (folder / "cgroup.procs").exists()}
    return sorted(root for root in roots if os.access(root, os.W_OK))


def join_control_group(pid: int) -> None:
    """Put process `pid` (and whatever it will start) into the node's control group, which is made."""
    for root in _hierarchies():
        if root == _CONTROL_GROUPS:  # version 2: a group has the controllers that its parent lets it have
            wanted = {"cpu", "cpuset", "hugetlb", "io", "memory", "pids"}
            for name in wanted.intersection((root / "cgroup.controllers").read_text().split()):
                (root / "cgroup.subtree_control").write_text(f"+{name}")
        for folder in (root / CONTROL_GROUP, root / CONTROL_GROUP / "node"):
            folder.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):  # version 1 lets nobody into a group without them
                if (folder / name).exists() and not (root / "cgroup.controllers").exists():
                    (folder / name).write_text((folder.parent / name).read_text())
        (root / CONTROL_GROUP / "node" / "cgroup.procs").write_text(str(pid))


def processes() -> set[int]:
    """The ids of all processes in the node's control group."""
    found: set[int] = set()
    for root in _hierarchies():
        for folder, _, _ in os.walk(root / CONTROL_GROUP):
            with suppress(FileNotFoundError):  # it went away in between
                found.update(map(int, Path(folder, "cgroup.procs").read_text().split()))
    return found


def connect(node: int) -> None:
    """Lay the wire between the machine and the network namespace of process `node`, and the routes over it."""
    inside = ("nsenter", f"--target={node}", "--net")
    _run("ip", "link", "add", DEVICE, "type", "veth", "peer", "name", "eth0", "netns", str(node))
    _run(*inside, "ip", "address", "add", f"{NODE}/24", "dev", "eth0")
    _run(*inside, "ip", "link", "set", "eth0", "up")
    _run(*inside, "ip", "route", "add", "default", "via", HOST)
    _run("ip", "address", "add", f"{HOST}/24", "dev", DEVICE)
    _run("ip", "link", "set", DEVICE, "up")
    for destination in (PODS, SERVICES):
        _run("ip", "route", "add", destination, "via", NODE)


def is_connected() -> bool:
    """Whether the machine's network device is there."""
    return Path("/sys/class/net", DEVICE).exists()


def sweep(deadline: float = 20.0) -> None:
    """Remove what a node left: its processes by their ids, then the network device and the control group."""
    end = time.monotonic() + deadline
    while left := processes():
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > end:
            raise MachineError(f"these processes of the node do not end: {sorted(left)}")
        time.sleep(0.05)
    if is_connected():
        subprocess.run(["ip", "link", "delete", DEVICE], check=False, capture_output=True)
    for root in _hierarchies():
        for folder, _, _ in os.walk(root / CONTROL_GROUP, topdown=False):
            _remove_control_group(Path(folder), end)
    while is_connected():
        if time.monotonic() > end:
            raise MachineError(f"the network device {DEVICE} does not go away")
        time.sleep(0.05)


def _remove_control_group(folder: Path, end: float) -> None:
    while True:
        try:
            return folder.rmdir()
        except FileNotFoundError:
            return None
        except OSError as error:  # the last process has ended and is not yet forgotten
            if time.monotonic() > end:
                raise MachineError(f"the control group {folder} cannot be removed: {error}") from error
            time.sleep(0.05)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MachineError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
