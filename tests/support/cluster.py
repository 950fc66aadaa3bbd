"""A whole Kubernetes on this machine, for tests: `make cluster`, `make cluster-down`, and the fixture `cluster`.

The control plane and S3 are processes of the machine that listen on an address only it and the nodes have; a node is
in namespaces of its own (`support.cluster_node`).  Everything ends with the process that holds the `Cluster`, in
reverse order when it is told to, and by the kernel when it is killed.  A lock lets only one process at a time hold the
cluster of a number; a lock that can be taken means that what is found is left over from an unclean end, and is swept
away.

Who holds it can break it: `kill` and `revive` a program of the control plane or S3, `lose_node` and `bring_back`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol, TypeVar

from support.binaries import KUBE
from support.cluster_access import ClusterAccess, S3Access
from support.cluster_machine import sweep, sweep_node
from support.cluster_node import Node
from support.cluster_pause import write_pause_image
from support.cluster_site import ClusterSite
from support.controlplane import ApiServer, ControllerManager, ControlPlane, Scheduler
from support.daemon import Daemon
from support.minioserver import MinioServer

KEPT = ("lock", "holder.log")
"""What stays in the work folder: the lock, and what `make cluster`'s process in the background has to say."""

_USERS = {
    "admin": 'admin,admin,"system:masters"',
    "kube-proxy": "system:kube-proxy,kube-proxy",
    "coredns": "coredns,coredns",
}
"""Who has a token besides the kubelets, as kube-apiserver's file of tokens wants it.  Whoever has the first may do
everything on this machine, where others work too, so no token is a known one."""

NODE_GRACE = 16
"""Seconds after the last sign of life of a kubelet (one every 2.5 s) until its node counts as unreachable."""

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_DNS_RULES = [
    {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
]


class ClusterError(Exception):
    """The cluster did not start; the message says what was waited for, and where the logs are."""


class AlreadyRunningError(ClusterError):
    """Another process has a cluster on this machine: `holder`, with process id `pid`."""

    def __init__(self, pid: int, holder: str) -> None:
        super().__init__(f"there is a cluster on this machine already, of {holder} (process {pid})")
        self.pid, self.holder = pid, holder


class _Stoppable(Protocol):
    def stop(self) -> None: ...


Part = TypeVar("Part", bound=_Stoppable)


def work_folder(site: ClusterSite | None = None) -> Path:
    """Where a cluster keeps all its files: the one that `KUBEMR_CLUSTER` names, unless given."""
    return (site or ClusterSite.from_environment()).folder


def description(folder: Path) -> Path:
    """The file that is there while the cluster in `folder` is ready, for `ClusterAccess.load`."""
    return folder / "cluster.json"


def take_lock(folder: Path, holder: str) -> IO[str]:
    """The lock of the cluster in `folder`, held until it is closed; `AlreadyRunningError` when another has it.

    The file says who: the process id, and `holder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # it holds tokens and keys
    lock = open(folder / "lock", "a+")  # noqa: SIM115 - open is what it is for
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        pid, _, who = lock.read().partition(" ")
        lock.close()
        raise AlreadyRunningError(int(pid or 0), who) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()} {holder}")
    lock.flush()
    return lock


class Cluster:
    """Starts a cluster, whose nodes are Ready when the constructor returns; `access` is how to reach it."""

    def __init__(self, holder: str = "a test run", nodes: int = 1, site: ClusterSite | None = None) -> None:
        self.site = site or ClusterSite.from_environment()
        self.folder = self.site.folder
        self._lock = take_lock(self.folder, holder)
        self._parts: list[_Stoppable] = []
        self.nodes: list[Node] = []
        try:
            clean(self.site)
            self._tokens = self._write_users()
            self.nodes.append(Node(self.site.node(0)))  # first, for the address that the others listen on
            self._start()
            self._describe()
            for _ in range(nodes - 1):
                self.add_node()
        except BaseException:
            self.stop()
            raise
        self.access.save(description(self.folder))

    def _write_users(self) -> dict[str, str]:
        """The tokens of `_USERS` and of the kubelets of all nodes that there might be, by name."""
        users = dict(_USERS)
        for node in self.site.nodes:
            users[node.name] = f'system:node:{node.name},{node.name},"system:nodes"'
        tokens = {user: secrets.token_hex(16) for user in users}
        self._token_file = self.folder / "users.csv"
        self._token_file.touch(mode=0o600)
        self._token_file.write_text("".join(f"{tokens[user]},{who}\n" for user, who in users.items()))
        return tokens

    def _start(self) -> None:
        folder, site = self.folder, self.site
        flags = (
            f"--service-cluster-ip-range={site.services}",
            f"--token-auth-file={self._token_file}",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
        )
        self.plane = self._started(
            ControlPlane(
                folder / "control-plane",
                *flags,
                address=site.host,
                service_address=site.service_of_apiserver,
                token=self._tokens["admin"],
            )
        )
        _let_coredns_read(self.plane.apiserver)
        self._join(self.nodes[0])
        apiserver = self.plane.apiserver
        self._scheduler = self._started(Scheduler(folder / "control-plane", apiserver))
        grace = (f"--node-monitor-grace-period={NODE_GRACE}s", "--node-monitor-period=1s")
        self._controllers = self._started(ControllerManager(folder / "control-plane", apiserver, *grace))
        self._minio = self._started(MinioServer(folder / "s3", site.host))
        self.nodes[0].wait_for_containerd()
        archive = folder / "pause.tar"
        write_pause_image(archive)
        self.nodes[0].processes.load_image(archive)
        self._wait_for_node(self.nodes[0])
        wait_for("DNS", lambda: _answers(f"http://{self.nodes[0].site.address}:8181/ready"), folder)
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_for("the default account", lambda: apiserver.request("GET", account).status == 200, folder)

    def _describe(self) -> None:
        minio = self._minio
        pids = {name: daemon.pid for name, (daemon, _) in self._programs.items()}
        s3 = S3Access(minio.endpoint, minio.endpoint, minio.access_key, minio.secret_key, minio.region)
        nodes = {node.site.name: node.processes for node in self.nodes}
        pids |= {name: processes.init for name, processes in nodes.items()}
        self.access = ClusterAccess(self.plane.apiserver.kubeconfig, KUBE.path("kubectl"), s3, nodes, pids)

    @property
    def _programs(self) -> dict[str, tuple[Daemon, Callable[[], bool]]]:
        plane, minio = self.plane, self._minio
        return {
            "etcd": (plane.etcd.daemon, plane.etcd.ready),
            "kube-apiserver": (plane.apiserver.daemon, plane.apiserver.ready),
            "kube-controller-manager": (self._controllers.daemon, self._controllers.ready),
            "kube-scheduler": (self._scheduler.daemon, self._scheduler.ready),
            "minio": (minio.daemon, minio.ready),
        }

    def kill(self, program: str) -> None:
        """`kill -9` of `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler` or `minio`."""
        self._programs[program][0].kill()

    def revive(self, program: str) -> None:
        """Start one that was killed again, on the data and the address that it had; it is ready on return."""
        daemon, ready = self._programs[program]
        daemon.start_again(ready)
        self._describe()

    def start_clients_again(self) -> None:
        """Have all programs of Kubernetes look at the apiserver now, after it was away for long.

        By themselves each of them looks again when it has waited for long enough, which is up to a minute (client-go).
        Until then nodes count as unreachable that are not, and kubelets do not see new pods.
        """
        for program in ("kube-scheduler", "kube-controller-manager"):
            self.kill(program)
            self.revive(program)
        for node in self.nodes:
            for program in ("kubelet", "kube-proxy", "coredns")[: 3 if node.site.is_first else 2]:
                node.processes.restart(program)
        for node in self.nodes:
            self._wait_for_node(node)

    def add_node(self) -> Node:
        """One node more, Ready, with the images of the first."""
        node = Node(self.site.node(len(self.nodes)), self.nodes)
        self.nodes.append(node)
        self._join(node)
        node.wait_for_containerd()
        archive = self.folder / "images.tar"
        self.nodes[0].processes.save_images(archive)
        node.processes.load_image(archive)
        archive.unlink()
        self._wait_for_node(node)
        self._describe()
        return node

    def lose_node(self, node: Node) -> None:
        """A power cut of any node but the first, on which the machine's address and the cluster's DNS are."""
        if node.site.is_first:
            raise ValueError(f"{node.site.name} cannot be lost: the cluster's address and DNS are on it")
        node.kill()

    def bring_back(self, node: Node) -> None:
        """Start a lost node again, on its disk; it is Ready on return."""
        others = [other for other in self.nodes if other is not node]
        node.boot_again(others, self.plane.certificates.ca)
        self._wait_for_node(node)
        self._describe()

    def remove_node(self, node: Node) -> None:
        """End a node, and have Kubernetes forget it."""
        self.nodes.remove(node)
        node.stop()
        sweep_node(node.site)
        self.plane.apiserver.request("DELETE", f"/api/v1/nodes/{node.site.name}")
        self._describe()

    def _join(self, node: Node) -> None:
        apiserver, folder = self.plane.apiserver, node.site.folder
        for name, user in (("kubelet", node.site.name), ("kube-proxy", "kube-proxy"), ("coredns", "coredns")):
            apiserver.write_kubeconfig(folder / f"{name}.kubeconfig", self._tokens[user])
        node.join(self.plane.certificates.ca)

    def _wait_for_node(self, node: Node) -> None:
        apiserver, name = self.plane.apiserver, node.site.name
        wait_for(f"{name} is Ready", lambda: _node_ready(apiserver, name), self.folder)
        wait_for("kube-proxy", lambda: _answers(f"http://{node.site.address}:10256/healthz"), self.folder)

    def _started(self, part: Part) -> Part:
        self._parts.append(part)
        return part

    def stop(self) -> None:
        """End everything in reverse order and remove what is on the machine of it; the logs stay."""
        description(self.folder).unlink(missing_ok=True)
        with contextlib.ExitStack() as ending:  # each is ended whatever happens to the one before
            ending.callback(self._lock.close)
            ending.callback(clean, self.site, keep_logs=True)
            # The nodes end first: an apiserver waits for its watchers to leave.
            for part in (*self._parts, *self.nodes):
                ending.callback(part.stop)
        self._parts.clear()
        self.nodes.clear()


@contextlib.contextmanager
def unless_running(holder: str = "a test run") -> Iterator[Cluster | None]:
    """A cluster for the block; none where one runs already that anybody may use, as its description tells."""
    try:
        own = Cluster(holder)  # also where there is a description of one that has ended uncleanly
    except AlreadyRunningError:
        if not description(work_folder()).exists():
            raise
        yield None
        return
    try:
        yield own
    finally:
        own.stop()


def clean(site: ClusterSite, *, keep_logs: bool = False) -> None:
    """Remove what a cluster at `site` has left: processes, devices, control groups and files."""
    sweep(site)
    folder = site.folder
    logs = folder / "logs"
    if keep_logs and logs.is_dir():
        for log in folder.glob("*/*.log"):
            log.rename(logs / log.name)
        for log in folder.glob("node[0-9]*/logs/*.log"):
            log.rename(logs / f"{log.parent.parent.name}-{log.name}")
    for entry in folder.iterdir():
        if entry.name in KEPT or (keep_logs and entry == logs):
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def wait_for(what: str, ready: Callable[[], bool], folder: Path, deadline: float = 60.0) -> None:
    """Poll until `ready()`; `ClusterError` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not ready():
        if time.monotonic() > end:
            raise ClusterError(f"{what}: not within {deadline:g} s; the logs are in {folder}/logs")
        time.sleep(0.1)


def _let_coredns_read(apiserver: ApiServer) -> None:
    role = {"metadata": {"name": "coredns"}, "rules": _DNS_RULES}
    binding = {
        "metadata": {"name": "coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "coredns"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "coredns"}],
    }
    for kind, body in (("clusterroles", role), ("clusterrolebindings", binding)):
        reply = apiserver.request("POST", f"{_RBAC}/{kind}", body)
        if reply.status != 201:
            raise ClusterError(f"the apiserver refused the {kind[:-1]} of CoreDNS with {reply.status}: {reply.body}")


def _node_ready(apiserver: ApiServer, name: str) -> bool:
    reply = apiserver.request("GET", f"/api/v1/nodes/{name}")
    if reply.status != 200:
        return False
    conditions = reply.body.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
