"""Pods that run one thing to its end, as strict as Pod Security's `restricted` demands."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from support.cluster_access import ClusterAccess

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(name: str, image: str, command: Sequence[str] = (), env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A pod of one container, which runs once; without a `command`, what its image says."""
    container: dict[str, Any] = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "securityContext": RESTRICTED,
    }
    if command:
        container["command"] = list(command)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }


def python_pod(
    name: str, image: str, code: str, *arguments: str, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A pod that runs Python `code`."""
    return pod(name, image, ["python3", "-c", code, *arguments], env)


@dataclass(frozen=True)
class Ended:
    """What is left of a pod's container."""

    status: int
    log: str


def run(cluster: ClusterAccess, namespace: str, description: Mapping[str, Any]) -> Ended:
    """Run a pod to its end."""
    name = description["metadata"]["name"]
    cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(description))
    return wait_for_end(cluster, namespace, name)


def wait_for_end(cluster: ClusterAccess, namespace: str, name: str, seconds: float = 60) -> Ended:
    """What is left of a pod's container when it has ended by itself."""
    ended = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
    cluster.kubectl("-n", namespace, "wait", f"pod/{name}", f"--for={ended}", f"--timeout={seconds}s")
    log = cluster.kubectl("-n", namespace, "logs", name)
    status = cluster.get("-n", namespace, "pod", name)["status"]
    return Ended(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], log)


def image_id(cluster: ClusterAccess, namespace: str, image: str) -> str:
    """What the status of pods that run `image` says as `imageID`; found out by one that ends at once."""
    name = f"probe-{secrets.token_hex(4)}"
    run(cluster, namespace, pod(name, image))
    (status,) = cluster.get("-n", namespace, "pod", name)["status"]["containerStatuses"]
    cluster.kubectl("-n", namespace, "delete", "pod", name)
    return str(status["imageID"])
