"""A web server inside the cluster, for the inputs of jobs: three documents, over http and https, and gates.

The documents are pages of this repository under the names of the seed's inputs, `/rfc/rfc4501.txt` and so on.
`/held/<gate>/rfc/…` answers only when `open_gate(<gate>)` was called, so that a test decides how long a task takes.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.certificates import Certificates, make_certificates
from support.cluster_access import ClusterAccess
from support.cluster_pods import python_pod
from support.workerharness import ROOT

SITE = "tools.ietf.org"
"""Whose certificate it shows over https."""

PAGES = {"rfc4501.txt": "protocol.md", "rfc2017.txt": "design.md", "rfc2425.txt": "api.md"}
"""What is served, by the file of `docs/` that stands in for it."""

SERVER = """
import collections, http.server, pathlib, ssl, threading
gates = collections.defaultdict(threading.Event)
site = threading.Event()
site.set()
class Served(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        parts = self.path.strip("/").split("/")
        if parts[0] in ("open", "close"):
            gate = gates[parts[1]] if len(parts) > 1 else site
            gate.set() if parts[0] == "open" else gate.clear()
            return self.answer(200, b"done")
        if isinstance(self.connection, ssl.SSLSocket):
            site.wait()
        if parts[0] == "held":
            gates[parts[1]].wait()
            parts = parts[2:]
        file = pathlib.Path("/documents", parts[-1])
        if parts[:-1] == ["rfc"] and file.is_file():
            return self.answer(200, file.read_bytes())
        self.answer(404, b"there is no such document")
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
plain, secure = Server(("", 8080), Served), Server(("", 8443), Served)
trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
trust.load_cert_chain("/site/tls.crt", "/site/tls.key")
secure.socket = trust.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=secure.serve_forever, daemon=True).start()
plain.serve_forever()
"""


@dataclass(frozen=True)
class Documents:
    """The running server: its service's `address`, and who certifies it (`ca`, PEM)."""

    cluster: ClusterAccess
    namespace: str
    address: str
    ca: str

    def url(self, name: str, *, gate: str = "") -> str:
        """Where pods find one of `PAGES`; behind a gate, if one is named."""
        held = f"/held/{gate}" if gate else ""
        return f"http://documents.{self.namespace}.svc{held}/rfc/{name}"

    def urls(self, *, gate: str = "") -> list[str]:
        """All of them."""
        return [self.url(name, gate=gate) for name in PAGES]

    def open_gate(self, gate: str) -> None:
        """Let pass who waits there, and who comes later."""
        self._tell(f"open/{gate}")

    def close_site(self) -> None:
        """Hold up who asks by https, until it is opened again."""
        self._tell("close")

    def open_site(self) -> None:
        """Let them pass."""
        self._tell("open")

    def _tell(self, what: str) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/services/documents:http/proxy/{what}"
        assert self.cluster.kubectl("get", "--raw", path) == "done"


def text_of(name: str) -> bytes:
    """What is served as `name`."""
    return (ROOT / "docs" / PAGES[name]).read_bytes()


def words_of(*documents: bytes) -> Counter[bytes]:
    """How often each word occurs in all of them, as Unix counts."""
    script = r"tr -s '[:space:]' '\n' | sed '/^$/d' | sort | uniq -c"
    counted = subprocess.run(
        ["sh", "-c", script], input=b"\n".join(documents), env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        capture_output=True, check=True,
    )  # fmt: skip
    lines = (line.split() for line in counted.stdout.splitlines())
    return Counter({word: int(count) for count, word in lines})


@contextmanager
def served(cluster: ClusterAccess, image: str, folder: Path) -> Iterator[Documents]:
    """Run the server, in a namespace of its own, from `image`, which has Python."""
    namespace = f"e2e-documents-{secrets.token_hex(4)}"
    site = make_certificates(folder, hosts=[SITE])
    cluster.kubectl("create", "namespace", namespace)
    try:
        _start(cluster, namespace, image, site)
        address = cluster.get("service", "documents", "-n", namespace)["spec"]["clusterIP"]
        yield Documents(cluster, namespace, address, site.ca.read_text())
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def _start(cluster: ClusterAccess, namespace: str, image: str, site: Certificates) -> None:
    metadata = {"name": "documents", "namespace": namespace}
    contents = {name: base64.b64encode(text_of(name)).decode() for name in PAGES}
    pod = python_pod("documents", image, SERVER)
    pod["metadata"] = {**metadata, "labels": {"app": "documents"}}
    pod["spec"]["volumes"] = [
        {"name": "documents", "configMap": {"name": "documents"}},
        {"name": "site", "secret": {"secretName": "documents"}},
    ]
    (container,) = pod["spec"]["containers"]
    container["volumeMounts"] = [{"name": name, "mountPath": f"/{name}"} for name in ("documents", "site")]
    container["readinessProbe"] = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}]
    service = {"selector": {"app": "documents"}, "ports": ports}
    tls = {"tls.crt": site.server.read_text(), "tls.key": site.server_key.read_text()}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "binaryData": contents},
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "stringData": tls},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    )  # fmt: skip
    cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(pod))
    cluster.kubectl("-n", namespace, "wait", "pod/documents", "--for=condition=Ready", "--timeout=60s")
