"""How a test reaches a cluster, whoever started it: kubectl, images, S3; and what only a cluster of ours has, its node.

A cluster of ours writes its description to a file, from which another process makes the same `ClusterAccess`.
A cluster of somebody else is described by environment variables; `docs/cluster-tests.md` lists them.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from support.binaries import KUBE
from support.cluster_node import NodeProcesses


@dataclass(frozen=True)
class S3Access:
    """An S3 server: its URL as pods see it and as this machine does, and the keys of somebody who may make buckets."""

    endpoint: str
    outside_endpoint: str
    access_key: str
    secret_key: str
    region: str


class KubectlError(Exception):
    """kubectl failed; the message is what it said."""


@dataclass(frozen=True)
class ClusterAccess:
    """A running cluster.

    `nodes` (by name) and `pids` (process ids by program) are there when it is one of ours: with these a test can break
    it.
    `load_command` is what takes an image archive into any other cluster, as its last argument.
    """

    kubeconfig: Path
    kubectl_program: Path
    s3: S3Access | None
    nodes: Mapping[str, NodeProcesses] = field(default_factory=dict)
    pids: Mapping[str, int] | None = None
    load_command: tuple[str, ...] = ()

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run kubectl as an administrator; its output, or `KubectlError`."""
        command = [str(self.kubectl_program), "--kubeconfig", str(self.kubeconfig), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=timeout)
        if done.returncode != 0:
            raise KubectlError(f"kubectl {shlex.join(arguments)}: status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """What `kubectl get … -o json` prints, decoded."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Create or change objects given as dictionaries."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    @property
    def loads_images(self) -> bool:
        """Whether `load_image` can be called; where not, the cluster pulls its images from a registry."""
        return bool(self.nodes) or bool(self.load_command)

    def load_image(self, archive: Path) -> None:
        """Make an image archive (`docker save`) usable by pods with `imagePullPolicy: Never`."""
        for node in self.nodes.values():
            node.load_image(archive)
        if self.load_command:
            subprocess.run([*self.load_command, str(archive)], check=True, timeout=600)
        elif not self.nodes:
            raise LookupError("KUBEMR_E2E_LOAD_IMAGE is not set: nobody said how images get into this cluster")

    def save(self, path: Path) -> None:
        """Write it for `load`; the file appears whole."""
        content = {
            "kubeconfig": str(self.kubeconfig),
            "kubectl": str(self.kubectl_program),
            "s3": asdict(self.s3) if self.s3 else None,
            "nodes": {name: node.init for name, node in self.nodes.items()},
            "pids": dict(self.pids or {}),
        }
        draft = path.with_name(path.name + ".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(content, indent=2))
        draft.rename(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        content = json.loads(path.read_text())
        return cls(
            kubeconfig=Path(content["kubeconfig"]),
            kubectl_program=Path(content["kubectl"]),
            s3=S3Access(**content["s3"]) if content["s3"] else None,
            nodes={name: NodeProcesses(init) for name, init in content["nodes"].items()},
            pids=content["pids"],
        )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self | None:
        """The cluster that `KUBEMR_E2E_KUBECONFIG` names, if any.

        Not `KUBECONFIG`: tests create and delete namespaces and cluster-wide objects, so one has to say it for them.
        """
        kubeconfig = environ.get("KUBEMR_E2E_KUBECONFIG")
        if not kubeconfig:
            return None
        if not Path(kubeconfig).is_file():
            raise FileNotFoundError(f"KUBEMR_E2E_KUBECONFIG is {kubeconfig!r}: there is no such file")
        program = KUBE.path("kubectl") if KUBE.is_built() else Path(shutil.which("kubectl") or "kubectl")
        s3 = None
        if endpoint := environ.get("KUBEMR_E2E_S3_ENDPOINT"):
            s3 = S3Access(
                endpoint=endpoint,
                outside_endpoint=environ.get("KUBEMR_E2E_S3_OUTSIDE_ENDPOINT", endpoint),
                access_key=environ["KUBEMR_E2E_S3_ACCESS_KEY"],
                secret_key=environ["KUBEMR_E2E_S3_SECRET_KEY"],
                region=environ.get("KUBEMR_E2E_S3_REGION", "us-east-1"),
            )
        load_command = tuple(shlex.split(environ.get("KUBEMR_E2E_LOAD_IMAGE", "")))
        return cls(Path(kubeconfig), program, s3, load_command=load_command)
