"""A node of a cluster: containerd, kubelet, kube-proxy and CoreDNS in namespaces of their own, on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import string
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.binaries import CLUSTER_MODULES, COREDNS, KUBE
from support.cluster_machine import MachineError, cni_plugins, connect, connect_nodes, join_control_group, sweep_node
from support.cluster_pause import PAUSE_IMAGE
from support.cluster_site import NodeSite
from support.daemon import Daemon

_SOCKET = "/run/containerd/containerd.sock"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class NodeProcesses:
    """A running node, as anybody can reach it who knows the process id of its first process."""

    init: int

    def enter(self, *command: str, check: bool = True) -> str:
        """Run `command` in the node's mount and network namespaces; its output, or an error with what it said."""
        inside = ["nsenter", f"--target={self.init}", "--mount", "--net", "--", *command]
        done = subprocess.run(inside, capture_output=True, text=True, check=False, env=os.environ | {"PATH": _PATH})
        if check and done.returncode != 0:
            raise MachineError(
                f"`{' '.join(command)}` in the node failed with {done.returncode}: {done.stderr.strip()}"
            )
        return done.stdout

    def load_image(self, archive: Path) -> None:
        """Import an image archive (`docker save`, `buildah push … docker-archive:`) where the kubelet looks for it."""
        self.enter("ctr", "--address", _SOCKET, "--namespace", "k8s.io", "images", "import", str(archive.resolve()))

    def save_images(self, archive: Path) -> None:
        """Write all images that it has to one archive, for the `load_image` of another node."""
        images = ("ctr", "--address", _SOCKET, "--namespace", "k8s.io", "images")
        names = [name for name in self.enter(*images, "list", "--quiet").split() if not name.startswith("sha256:")]
        self.enter(*images, "export", str(archive.resolve()), *names)

    def name_image(self, image: str, name: str) -> None:
        """Give an image that was loaded a further name, in full: `docker.io/turbobytes/kubemr-wordcount:latest`."""
        images = ("ctr", "--address", _SOCKET, "--namespace", "k8s.io", "images")
        self.enter(*images, "tag", "--force", image, name)

    def pid(self, program: str) -> int:
        """The process id, on this machine, of a program that the node's first process has started, e.g. `kubelet`."""
        for pid in _children(self.init):
            if program == _program(pid):
                return pid
        raise ProcessLookupError(f"the node runs no {program!r}")

    def signal(self, program: str, number: signal.Signals) -> None:
        """Send a signal to one of its programs; one that is killed is started again after a second."""
        os.kill(self.pid(program), number)

    def restart(self, program: str, deadline: float = 30.0) -> None:
        """`kill -9` of one of its programs; on return it has been started again."""
        before = self.pid(program)
        os.kill(before, signal.SIGKILL)
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            with suppress(ProcessLookupError):
                if self.pid(program) != before:
                    return
            time.sleep(0.1)
        raise MachineError(f"{program} was not started again after it was killed")


class Node:
    """Starts and ends a node at its `site`.  First it is a machine; `join` makes it part of a cluster.

    It is connected with the machine and with `neighbours`, the nodes that run already.
    """

    def __init__(self, site: NodeSite, neighbours: Sequence[Node] = ()) -> None:
        self.site = site
        shutil.rmtree(site.folder / "node", ignore_errors=True)
        self._boot(neighbours)

    def _boot(self, neighbours: Sequence[Node]) -> None:
        folder = self.site.folder
        (folder / "components.json").unlink(missing_ok=True)
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        log = folder / "logs" / "node.log"
        script = CLUSTER_MODULES / "node_init.py"
        unshare = [str(shutil.which("unshare")), "--pid", "--mount", "--net", "--fork", "--kill-child"]
        command = [*unshare, sys.executable, "-I", "-S", str(script), str(folder)]
        self.daemon = Daemon("node", command, log, os.environ | {"PATH": _PATH})
        self.daemon.wait_ready(lambda: "mounted" in log.read_text(), deadline=20)
        try:
            (init,) = _children(self.daemon.pid)
            self.processes = NodeProcesses(init)
            join_control_group(self.site, init)
            connect(self.site, init)
            for neighbour in neighbours:
                connect_nodes(neighbour.site, neighbour.processes.init, self.site, init)
        except BaseException:
            self.daemon.kill()
            raise

    def join(self, ca: Path) -> None:
        """Have the node's programs run, as clients of the apiserver that the `*.kubeconfig` in its folder name.

        `ca` is who certifies that apiserver to the kubelet.
        """
        folder, site = self.site.folder, self.site
        values = {
            "folder": str(folder),
            "name": site.name,
            "node": site.address,
            "dns": site.cluster.node(0).address,
            "ca": str(ca),
            "pods": site.pods,
            "all_pods": site.cluster.pods,
            "cgroup": site.control_group,
            "pause": PAUSE_IMAGE,
            "cni_plugins": str(cni_plugins()),
        }
        (folder / "cni").mkdir(exist_ok=True)
        for file in (CLUSTER_MODULES / "node").iterdir():
            target = folder / "cni" / file.name if file.suffix == ".conflist" else folder / file.name
            target.write_text(string.Template(file.read_text()).substitute(values))
        components: list[dict[str, Any]] = [
            {"name": "containerd", "command": ["containerd", "--config", f"{folder}/containerd.toml"], "after": []},
            {
                "name": "kubelet",
                "command": [
                    str(KUBE.path("kubelet")),
                    f"--config={folder}/kubelet.yaml",
                    f"--kubeconfig={folder}/kubelet.kubeconfig",
                    f"--hostname-override={site.name}",
                    f"--node-ip={site.address}",
                ],
                "after": [_SOCKET],
            },
            {
                "name": "kube-proxy",
                "command": [str(KUBE.path("kube-proxy")), f"--config={folder}/kube-proxy.yaml"],
                "after": [],
            },
        ]
        if site.is_first:
            coredns = [str(COREDNS.path()), "-conf", f"{folder}/Corefile"]
            components.append({"name": "coredns", "command": coredns, "after": []})
        draft = folder / "components.json.draft"
        draft.write_text(json.dumps(components, indent=2))
        draft.rename(folder / "components.json")

    def wait_for_containerd(self, deadline: float = 30.0) -> None:
        """Wait until images can be imported."""
        end = time.monotonic() + deadline
        while not self.processes.enter("ctr", "--address", _SOCKET, "version", check=False):
            if time.monotonic() > end or not self.daemon.running:
                raise MachineError(f"containerd does not answer; see {self.site.folder}/logs/containerd.log")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it with all its containers, at once and unannounced, as a power cut would; its disk stays."""
        self.daemon.kill()  # the kernel ends `init` with it, and all others with that
        sweep_node(self.site)

    def boot_again(self, neighbours: Sequence[Node], ca: Path) -> None:
        """Start it on the disk that it had when it was killed."""
        self._boot(neighbours)
        self.join(ca)

    def stop(self, grace: float = 25.0) -> None:
        """End its programs in reverse order, and then whatever it runs besides."""
        if self.daemon.running:
            os.kill(self.processes.init, signal.SIGTERM)
        end = time.monotonic() + grace
        while self.daemon.running and time.monotonic() < end:
            time.sleep(0.05)
        self.daemon.kill()


def _children(parent: int) -> list[int]:
    """The ids of the child processes of `parent`; /proc/…/children would say so, in kernels that have it."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent:
            found.append(int(status.parent.name))
    return found


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0].rpartition("/")[2]
    except (FileNotFoundError, ProcessLookupError):
        return ""
