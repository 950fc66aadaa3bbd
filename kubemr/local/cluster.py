"""Run a cluster on this machine for as long as it is needed: apiserver, operator and node.

The apiserver serves from a thread of this process; the operator and the workers are processes.  They use HTTP, as in
Kubernetes, and all of them end with this process.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from kubemr.local.apiserver.http import HttpServer
from kubemr.local.apiserver.kubemr_server import kubemr_server
from kubemr.local.container_process import inherited_environ
from kubemr.local.node.node import Node
from kubemr.local.operator_process import OperatorSupervisor
from kubemr.local.output_log import OutputLog
from kubemr.locks.config import Server

NAMESPACE: Final = "default"
LEASE_SECONDS: Final = 4.0
"""How long a worker's Lease lasts.  It is shorter than in a cluster, because no packet is lost on this machine."""


class LocalCluster:
    """An apiserver, an operator and a node.  Call `start`, and at the end always `stop` and then `remove_files`.

    `store` is the object store of all jobs (`kubemr.local.store_settings`).  Some thread calls `on_failure` if a part
    of the cluster fails.
    """

    def __init__(
        self,
        store: Mapping[str, str],
        output_log: OutputLog,
        on_failure: Callable[[Exception], None],
        *,
        lease_seconds: float = LEASE_SECONDS,
        log_level: str = "info",
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="kubemr-run-"))
        self.namespace = NAMESPACE
        self._apiserver = HttpServer(kubemr_server(), secrets.token_hex(16))
        self.server = Server(self._apiserver.url, token=self._apiserver.token)
        common = {**inherited_environ(), "KUBEMR_LOG_LEVEL": log_level}
        environ = {
            **common,
            "KUBEMR_APISERVER": self.server.url,
            "KUBEMR_APISERVER_TOKEN": self._apiserver.token or "",
            **store,
            "KUBEMR_LEND_STORAGE_KEYS": "true",  # operator and workers belong to the same user
            "KUBEMR_INPUTS_FROM": "*",
            "KUBEMR_LEASE_SECONDS": f"{lease_seconds:g}",
            "KUBEMR_NAMESPACE": self.namespace,
        }
        self.operator = OperatorSupervisor(environ, str(self.directory), output_log, on_failure)
        self.node = Node(self.server, self.directory, common, output_log, on_failure)

    @property
    def kubectl_url(self) -> str:
        """An address for `kubectl --server`."""
        return self._apiserver.kubectl_url

    def start(self) -> None:
        """Start all parts, and return at once."""
        self._apiserver.start()
        self.operator.start()
        self.node.start()

    def stop(self) -> None:
        """End all parts, and return when they have ended."""
        self.operator.stop()
        self.node.stop()
        self._apiserver.stop()

    def kill(self) -> None:
        """Kill all processes; `stop` then has nothing to wait for."""
        self.operator.kill()
        self.node.kill()

    def remove_files(self) -> None:
        """Remove the working files.  Call it when no process can write any more."""
        shutil.rmtree(self.directory)
