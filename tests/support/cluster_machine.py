"""What a cluster's nodes need of the machine, what they take of it, and how that is given back.

A node's processes, mounts and network devices live in namespaces that end with its first process; see
`tests/e2e/cluster/node_init.py`.  Outside of these are one network device (the other end of the node's) and a control
group, which this file makes and removes; the control group tells as well what is left of a node that ended uncleanly.
Which device and which control group: `support.cluster_site`.
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
from support.cluster_site import ClusterSite, NodeSite

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


def join_control_group(site: NodeSite, pid: int) -> None:
    """Put process `pid` (and whatever it will start) into the node's control group, which is made."""
    for root in _hierarchies():
        if root == _CONTROL_GROUPS:  # version 2: a group has the controllers that its parent lets it have
            wanted = {"cpu", "cpuset", "hugetlb", "io", "memory", "pids"}
            for name in wanted.intersection((root / "cgroup.controllers").read_text().split()):
                (root / "cgroup.subtree_control").write_text(f"+{name}")
        for folder in (root / site.control_group, root / site.control_group / "node"):
            folder.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):  # version 1 lets nobody into a group without them
                if (folder / name).exists() and not (root / "cgroup.controllers").exists():
                    (folder / name).write_text((folder.parent / name).read_text())
        (root / site.control_group / "node" / "cgroup.procs").write_text(str(pid))


def control_groups(site: NodeSite) -> list[Path]:
    """The folders of the node's control group that are there, one in each hierarchy."""
    return [folder for root in _hierarchies() if (folder := root / site.control_group).exists()]


def processes(site: NodeSite) -> set[int]:
    """The ids of all processes in the node's control group."""
    found: set[int] = set()
    for group in control_groups(site):
        for folder, _, _ in os.walk(group):
            with suppress(FileNotFoundError):  # it went away in between
                found.update(map(int, Path(folder, "cgroup.procs").read_text().split()))
    return found


def connect(site: NodeSite, node: int) -> None:
    """Lay the wire between the machine and the network namespace of process `node`, and the routes over it."""
    host = site.cluster.host
    inside = ("nsenter", f"--target={node}", "--net")
    _run("ip", "link", "add", site.device, "type", "veth", "peer", "name", "eth0", "netns", str(node))
    _run(*inside, "ip", "address", "add", f"{site.address}/24", "dev", "eth0")
    _run(*inside, "ip", "link", "set", "eth0", "up")
    _run(*inside, "ip", "route", "add", "default", "via", host)
    if site.is_first:
        _run("ip", "address", "add", f"{host}/24", "dev", site.device)
    _run("ip", "link", "set", site.device, "up")
    if site.is_first:
        _run("ip", "route", "add", site.cluster.services, "via", site.address)
    else:
        _run("ip", "route", "add", f"{site.address}/32", "dev", site.device, "src", host)
    _run("ip", "route", "add", site.pods, "via", site.address)


def connect_nodes(one: NodeSite, process: int, other: NodeSite, other_process: int) -> None:
    """Lay a wire between the network namespaces of two nodes' processes: between nodes the machine forwards nothing."""
    inside = ("nsenter", f"--target={process}", "--net")
    _run(
        *inside, "ip", "link", "add", other.name, "type", "veth", "peer", "name", one.name, "netns", str(other_process)
    )
    for here, there, pid in ((one, other, process), (other, one, other_process)):
        inside = ("nsenter", f"--target={pid}", "--net")
        _run(*inside, "ip", "link", "set", there.name, "up")
        _run(*inside, "ip", "route", "add", f"{there.address}/32", "dev", there.name, "src", here.address)
        _run(*inside, "ip", "route", "add", there.pods, "via", there.address, "dev", there.name)


def is_connected(site: NodeSite) -> bool:
    """Whether the machine's network device is there."""
    return Path("/sys/class/net", site.device).exists()


def sweep(site: ClusterSite, deadline: float = 20.0) -> None:
    """Remove what nodes left: their processes by their ids, then the network devices and the control groups."""
    for node in reversed(site.nodes):
        sweep_node(node, deadline)


def sweep_node(site: NodeSite, deadline: float = 20.0) -> None:
    """Remove what one node left."""
    end = time.monotonic() + deadline
    while left := processes(site):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > end:
            raise MachineError(f"these processes of {site.name} do not end: {sorted(left)}")
        time.sleep(0.05)
    if is_connected(site):
        subprocess.run(["ip", "link", "delete", site.device], check=False, capture_output=True)
    for group in control_groups(site):
        for folder, _, _ in os.walk(group, topdown=False):
            _remove_control_group(Path(folder), end)
    while is_connected(site):
        if time.monotonic() > end:
            raise MachineError(f"the network device {site.device} does not go away")
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
