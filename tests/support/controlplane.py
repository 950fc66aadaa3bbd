"""A real Kubernetes API for tests: etcd and kube-apiserver on loopback ports, without a node and without root.

What is here is what the API needs and no more: objects are stored, validated, watched and patched by the real code, and
nothing acts on them.  `ControllerManager` adds the controllers (garbage collection, Jobs), where a test is about them.
With a node, and a `Scheduler`, it is a cluster: see `support.cluster`.
Several `ApiServer`s may share one `Etcd`, as in a cluster with several control plane nodes.
"""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
import ssl
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.binaries import ETCD, KUBE
from support.certificates import Certificates, make_certificates
from support.daemon import Daemon, free_port, start_on_free_ports

LOOPBACK = "127.0.0.1"

ADMIN_TOKEN = "admintoken"
"""The bearer token of a user in the group system:masters, who may do everything."""


class Etcd:
    """One member of etcd, without fsync: what a test stores need not survive a power cut."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "etcd-data"
        self.url = ""
        self.daemon = start_on_free_ports(lambda: self._start(folder))

    def _start(self, folder: Path) -> Daemon:
        self.url, peers = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        shutil.rmtree(self._data, ignore_errors=True)
        command = [
            str(ETCD.path()),
            f"--data-dir={self._data}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]
        return Daemon("etcd", command, folder / "etcd.log").wait_ready(self.ready)

    def ready(self) -> bool:
        """Whether it has a leader and answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(json.load(answer).get("health") == "true")
        except OSError:
            return False

    def stop(self) -> None:
        """End it and remove its data; the log stays."""
        self.daemon.stop()
        shutil.rmtree(self._data, ignore_errors=True)


@dataclass(frozen=True)
class Reply:
    """What the apiserver answered to `ApiServer.request`: the HTTP status and the decoded JSON (or the text)."""

    status: int
    body: Any


class ApiServer:
    """One kube-apiserver on an `Etcd`.  Tests speak to it by whatever they test; `request` is for preparations.

    `url` is `https://127.0.0.1:<port>`, or on the `address` given, `token` an administrator's bearer token, `ca_file`
    the certificate to trust, and `kubeconfig` a file that holds all three.
    """

    def __init__(
        self,
        folder: Path,
        etcd: Etcd,
        certificates: Certificates,
        *flags: str,
        address: str = LOOPBACK,
        token: str = ADMIN_TOKEN,
    ) -> None:
        self._address = address
        self.token = token
        self.certificates = certificates
        self.ca_file = certificates.ca
        self._tls = ssl.create_default_context(cafile=str(certificates.ca))
        self.url = ""
        folder.mkdir(parents=True, exist_ok=True)
        tokens = folder / "tokens.csv"
        tokens.write_text(f'{token},admin,admin,"system:masters"\n')
        self.daemon = start_on_free_ports(lambda: self._start(folder, etcd, tokens, flags))
        self.kubeconfig = self.write_kubeconfig(folder / "kubeconfig", self.token)

    def _start(self, folder: Path, etcd: Etcd, tokens: Path, flags: tuple[str, ...]) -> Daemon:
        port = free_port(self._address)
        self.url = f"https://{self._address}:{port}"
        command = [
            str(KUBE.path("kube-apiserver")),
            f"--etcd-servers={etcd.url}",
            f"--bind-address={self._address}",
            f"--secure-port={port}",
            f"--advertise-address={self._address}",
            # Endpoints of the service `kubernetes` may not be loopback; nobody reaches it there either.
            f"--endpoint-reconciler-type={'none' if self._address == LOOPBACK else 'lease'}",
            f"--tls-cert-file={self.certificates.server}",
            f"--tls-private-key-file={self.certificates.server_key}",
            f"--kubelet-client-certificate={self.certificates.kubelet_client}",
            f"--kubelet-client-key={self.certificates.kubelet_client_key}",
            f"--service-account-key-file={self.certificates.service_accounts}",
            f"--service-account-signing-key-file={self.certificates.service_accounts}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--token-auth-file={tokens}",
            "--authorization-mode=Node,RBAC",
            *flags,
        ]
        return Daemon("kube-apiserver", command, folder / "apiserver.log").wait_ready(self.ready)

    def write_kubeconfig(self, path: Path, token: str) -> Path:
        """Write what a client needs that is `token`'s user."""
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}],
            "current-context": "test",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=2))  # JSON is YAML
        return path

    def ready(self) -> bool:
        """Whether it answers, has all its caches filled and its own objects made."""
        try:
            return self.request("GET", "/readyz", timeout=5).status == 200
        except OSError:
            return False

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json", timeout: float = 30
    ) -> Reply:
        """One HTTP exchange as the administrator, on a connection of its own; any status is a `Reply`."""
        address = urllib.parse.urlsplit(self.url).netloc
        connection = http.client.HTTPSConnection(address, context=self._tls, timeout=timeout)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
            if body is not None:
                headers["Content-Type"] = content_type
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = (answer.getheader("Content-Type") or "").startswith("application/json")
            return Reply(answer.status, json.loads(text) if is_json else text)
        finally:
            connection.close()

    def create_namespace(self, prefix: str = "test-") -> str:
        """Make a namespace with a name of its own, which is returned."""
        name = prefix + secrets.token_hex(4)
        reply = self.request(
            "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        )
        if reply.status != 201:
            raise RuntimeError(f"the apiserver refused the namespace {name!r} with {reply.status}: {reply.body}")
        return name

    def stop(self) -> None:
        """End it."""
        # Where it keeps endpoints, it tries for 10 s to take its own out through itself, which listens no more.
        self.daemon.stop(grace=10 if self._address == LOOPBACK else 2)


class Component:
    """A program of the control plane that is a client of an `ApiServer` and shows its health on a loopback port."""

    program: str
    """What `KUBE` calls it."""

    def __init__(self, folder: Path, apiserver: ApiServer, *flags: str) -> None:
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE  # its own certificate, made when it starts and told to nobody
        self._port = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.daemon = start_on_free_ports(lambda: self._start(folder, apiserver, flags))

    def _start(self, folder: Path, apiserver: ApiServer, flags: tuple[str, ...]) -> Daemon:
        self._port = free_port()
        command = [
            str(KUBE.path(self.program)),
            f"--kubeconfig={apiserver.kubeconfig}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={folder}",
            *flags,
        ]
        log = folder / f"{self.program.removeprefix('kube-')}.log"
        return Daemon(self.program, command, log).wait_ready(self.ready)

    def ready(self) -> bool:
        """Whether it works."""
        try:
            with urllib.request.urlopen(
                f"https://127.0.0.1:{self._port}/healthz", timeout=5, context=self._tls
            ) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        """End it."""
        self.daemon.stop()


class ControllerManager(Component):
    """kube-controller-manager: what acts on the objects of an `ApiServer`, e.g. the garbage collector."""

    program = "kube-controller-manager"

    def __init__(self, folder: Path, apiserver: ApiServer, *flags: str) -> None:
        super().__init__(
            folder,
            apiserver,
            f"--service-account-private-key-file={apiserver.certificates.service_accounts}",
            f"--root-ca-file={apiserver.ca_file}",
            "--use-service-account-credentials",
            *flags,
        )


class Scheduler(Component):
    """kube-scheduler: what gives pods to nodes."""

    program = "kube-scheduler"


class ControlPlane:
    """An `Etcd` and an `ApiServer` that are started and stopped together.

    The apiserver listens on `address`, which its certificate names besides `service_address`, and gets `flags`; `token`
    is its administrator's.
    """

    def __init__(
        self,
        folder: Path,
        *flags: str,
        address: str = LOOPBACK,
        service_address: str = "10.96.0.1",
        token: str = ADMIN_TOKEN,
    ) -> None:
        self.certificates = make_certificates(folder / "certificates", address, service_address)
        self.etcd = Etcd(folder)
        try:
            self.apiserver = ApiServer(folder, self.etcd, self.certificates, *flags, address=address, token=token)
        except BaseException:
            self.etcd.stop()
            raise

    def stop(self) -> None:
        """End both, the one that depends on the other first."""
        self.apiserver.stop()
        self.etcd.stop()
