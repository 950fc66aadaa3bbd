"""The node survives the end of its own programs, as a machine does whose service manager starts them again."""

from __future__ import annotations

import json

import pytest

from support.cluster_access import ClusterAccess
from support.cluster_node import NodeProcesses
from support.cluster_pods import python_pod, run

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("program", ["kubelet", "containerd"])
def test_a_killed_program_is_started_again_and_pods_live_on(
    cluster: ClusterAccess, cluster_node: NodeProcesses, cluster_namespace: str, worker_image: str, program: str
) -> None:
    """A pod that ran before is the same container after, and new pods run."""
    stays = python_pod("stays", worker_image, "import signal; signal.pause()")
    cluster.kubectl("-n", cluster_namespace, "create", "-f", "-", stdin=json.dumps(stays))
    cluster.kubectl("-n", cluster_namespace, "wait", "pod/stays", "--for=condition=Ready", "--timeout=60s")
    (container,) = cluster.get("-n", cluster_namespace, "pod", "stays")["status"]["containerStatuses"]
    cluster_node.restart(program)
    assert run(cluster, cluster_namespace, python_pod("next", worker_image, "print(1)")).log == "1\n"
    (after,) = cluster.get("-n", cluster_namespace, "pod", "stays")["status"]["containerStatuses"]
    assert (after["containerID"], after["restartCount"], after["ready"]) == (container["containerID"], 0, True)


def test_an_image_gets_a_further_name(
    cluster: ClusterAccess, cluster_node: NodeProcesses, cluster_namespace: str, worker_image: str
) -> None:
    """For manifests that name an image of a registry which cannot be reached."""
    cluster_node.name_image(f"{worker_image}:latest", "docker.io/nobody/named-so:latest")
    ended = run(cluster, cluster_namespace, python_pod("named", "nobody/named-so", "print(1)"))
    assert ended.log == "1\n"
