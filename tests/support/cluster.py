"""A whole Kubernetes on this machine, for tests: `make cluster`, `make cluster-down`, and the fixture `cluster`.

The control plane and S3 are processes of the machine that listen on an address only it and the node have; the node is
in namespaces of its own (`support.cluster_node`).  Everything ends with the process that holds the `Cluster`, in
reverse order when it is told to, and by the kernel when it is killed.  A lock lets only one such process at a time be;
a lock that can be taken means that what is found is left over from an unclean end, and is swept away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol, TypeVar

from support.binaries import KUBE, cache
from support.cluster_access import ClusterAccess, S3Access
from support.cluster_machine import HOST, NODE, SERVICE_OF_APISERVER, SERVICES, sweep
from support.cluster_node import NAME, Node
from support.cluster_pause import write_pause_image
from support.controlplane import ApiServer, ControllerManager, ControlPlane, Scheduler
from support.minioserver import MinioServer

KEPT = ("lock", "holder.log")
"""What stays in the work folder: the lock, and what `make cluster`'s process in the background has to say."""

_USERS = {
    "admin": 'admin,admin,"system:masters"',
    "kubelet": f'system:node:{NAME},{NAME},"system:nodes"',
    "kube-proxy": "system:kube-proxy,kube-proxy",
    "coredns": "coredns,coredns",
}
"""Who has a token, as kube-apiserver's file of tokens wants it.  Whoever has the first may do everything on this
machine, where others work too, so no token is a known one."""

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


def work_folder() -> Path:
    """Where the cluster of this machine keeps all its files."""
    return cache().parent / "cluster"


def description(folder: Path) -> Path:
    """The file that is there while the cluster in `folder` is ready, for `ClusterAccess.load`."""
    return folder / "cluster.json"


def take_lock(folder: Path, holder: str) -> IO[str]:
    """The lock of this machine's cluster, held until it is closed; `AlreadyRunningError` when another has it.

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
    """Starts a cluster with one node, which is Ready when the constructor returns; `access` is how to reach it."""

    def __init__(self, holder: str = "a test run") -> None:
        self.folder = work_folder()
        self._lock = take_lock(self.folder, holder)
        self._parts: list[_Stoppable] = []
        try:
            clean(self.folder)
            self.access = self._start()
        except BaseException:
            self.stop()
            raise
        self.access.save(description(self.folder))

    def _start(self) -> ClusterAccess:
        folder = self.folder
        node = self._started(Node(folder))  # first, for the address that the others listen on
        tokens = {user: secrets.token_hex(16) for user in _USERS}
        token_file = folder / "users.csv"
        token_file.touch(mode=0o600)
        token_file.write_text("".join(f"{tokens[user]},{who}\n" for user, who in _USERS.items()))
        flags = (
            f"--service-cluster-ip-range={SERVICES}",
            f"--token-auth-file={token_file}",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
        )
        plane = self._started(
            ControlPlane(
                folder / "control-plane",
                *flags,
                address=HOST,
                service_address=SERVICE_OF_APISERVER,
                token=tokens["admin"],
            )
        )
        apiserver = plane.apiserver
        for name in ("kubelet", "kube-proxy", "coredns"):
            apiserver.write_kubeconfig(folder / f"{name}.kubeconfig", tokens[name])
        _let_coredns_read(apiserver)
        node.join(plane.certificates.ca)
        scheduler = self._started(Scheduler(folder / "control-plane", apiserver))
        controllers = self._started(ControllerManager(folder / "control-plane", apiserver))
        minio = self._started(MinioServer(folder / "s3", HOST))
        self._parts.append(self._parts.pop(0))  # the node ends first: an apiserver waits for its watchers to leave
        node.wait_for_containerd()
        archive = folder / "pause.tar"
        write_pause_image(archive)
        node.processes.load_image(archive)
        wait_for(f"{NAME} is Ready", lambda: _node_ready(apiserver), folder)
        wait_for("kube-proxy", lambda: _answers(f"http://{NODE}:10256/healthz"), folder)
        wait_for("DNS", lambda: _answers(f"http://{NODE}:8181/ready"), folder)
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_for("the default account", lambda: apiserver.request("GET", account).status == 200, folder)
        daemons = [plane.etcd.daemon, apiserver.daemon, controllers.daemon, scheduler.daemon, minio.daemon]
        pids = {daemon.name: daemon.pid for daemon in daemons} | {"node": node.processes.init}
        s3 = S3Access(minio.endpoint, minio.endpoint, minio.access_key, minio.secret_key, minio.region)
        return ClusterAccess(apiserver.kubeconfig, KUBE.path("kubectl"), s3, node.processes, pids)

    def _started(self, part: Part) -> Part:
        self._parts.append(part)
        return part

    def stop(self) -> None:
        """End everything in reverse order and remove what is on the machine of it; the logs stay."""
        description(self.folder).unlink(missing_ok=True)
        with contextlib.ExitStack() as ending:  # each is ended whatever happens to the one before
            ending.callback(self._lock.close)
            ending.callback(clean, self.folder, keep_logs=True)
            for part in self._parts:
                ending.callback(part.stop)
        self._parts.clear()


def clean(folder: Path, *, keep_logs: bool = False) -> None:
    """Remove what a cluster in `folder` has left: processes, devices, control groups and files."""
    sweep()
    logs = folder / "logs"
    if keep_logs and logs.is_dir():
        for log in folder.glob("*/*.log"):
            log.rename(logs / log.name)
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


def _node_ready(apiserver: ApiServer) -> bool:
    reply = apiserver.request("GET", f"/api/v1/nodes/{NAME}")
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
