"""A cluster of ours takes a second node, which can be lost and come back."""

from __future__ import annotations

import json
import signal

import pytest

from support.cluster import Cluster
from support.cluster_access import ClusterAccess, S3Access
from support.cluster_machine import processes
from support.cluster_node import Node
from support.cluster_pods import Ended, python_pod, run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SERVE = """
import http.server, os
class Served(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["SAY"].encode())
http.server.HTTPServer(("", 8080), Served).serve_forever()
"""

FETCH = """
import sys, time, urllib.request
for url in sys.argv[1:]:
    for attempt in range(50):  # a service's address is known a moment after its pod is ready
        try:
            answer = urllib.request.urlopen(url, timeout=5).read().decode()
            break
        except urllib.error.HTTPError as error:
            answer = str(error.code)
            break
        except OSError as error:
            answer = str(error)
            time.sleep(0.2)
    print(answer)
"""


@pytest.fixture
def servers(cluster: ClusterAccess, cluster_namespace: str, second_node: Node, worker_image: str) -> dict[str, str]:
    """By node the address of a pod there that says the node's name; each has a service of that name too."""
    addresses = {}
    for node in ("node1", second_node.site.name):
        pod = python_pod(node, worker_image, SERVE, env={"SAY": node})
        pod["metadata"]["labels"] = {"on": node}
        pod["spec"]["nodeName"] = node
        port = {"port": 80, "targetPort": 8080}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": node, "namespace": cluster_namespace},
            "spec": {"selector": {"on": node}, "ports": [port]},
        }
        cluster.apply(service)
        cluster.kubectl("-n", cluster_namespace, "create", "-f", "-", stdin=json.dumps(pod))
    for node in ("node1", second_node.site.name):
        cluster.kubectl("-n", cluster_namespace, "wait", f"pod/{node}", "--for=condition=Ready", "--timeout=60s")
        addresses[node] = cluster.get("-n", cluster_namespace, "pod", node)["status"]["podIP"]
    return addresses


def test_pods_of_both_reach_pods_services_names_and_s3(
    cluster: ClusterAccess,
    cluster_s3: S3Access,
    cluster_namespace: str,
    servers: dict[str, str],
    worker_image: str,
) -> None:
    """From each node to each, by the pod's address and by its service's name; and S3 (403 without keys)."""
    urls = [f"http://{address}:8080/" for address in servers.values()]
    urls += [f"http://{node}.{cluster_namespace}.svc.cluster.local/" for node in servers]
    for node in servers:
        pod = python_pod(f"from-{node}", worker_image, FETCH, *urls, f"{cluster_s3.endpoint}/")
        pod["spec"]["nodeName"] = node
        assert run(cluster, cluster_namespace, pod) == Ended(0, "\n".join([*servers, *servers, "403", ""]))


def test_a_lost_one_is_unreachable_for_kubernetes_and_comes_back_with_its_images(
    cluster: ClusterAccess, breakable_cluster: Cluster, cluster_namespace: str, second_node: Node, worker_image: str
) -> None:
    """Its processes are gone at once, containers included; its node is Unknown; it comes back Ready, and runs pods."""
    name = second_node.site.name
    stays = python_pod("stays", worker_image, "import signal; signal.pause()")
    stays["spec"]["nodeName"] = name
    cluster.kubectl("-n", cluster_namespace, "create", "-f", "-", stdin=json.dumps(stays))
    cluster.kubectl("-n", cluster_namespace, "wait", "pod/stays", "--for=condition=Ready", "--timeout=60s")
    breakable_cluster.lose_node(second_node)
    assert processes(second_node.site) == set()
    cluster.kubectl("wait", f"node/{name}", "--for=condition=Ready=Unknown", "--timeout=60s")
    breakable_cluster.bring_back(second_node)
    pod = python_pod("again", worker_image, "print('here')")
    pod["spec"]["nodeName"] = name
    assert run(cluster, cluster_namespace, pod) == Ended(0, "here\n")


def test_a_frozen_kubelet_leaves_its_containers_running(
    cluster: ClusterAccess, cluster_namespace: str, second_node: Node, worker_image: str
) -> None:
    """SIGSTOP of the kubelet alone: a pod there still answers while its node counts as unreachable."""
    name = second_node.site.name
    server = python_pod("server", worker_image, SERVE, env={"SAY": "alive"})
    server["spec"]["nodeName"] = name
    cluster.kubectl("-n", cluster_namespace, "create", "-f", "-", stdin=json.dumps(server))
    cluster.kubectl("-n", cluster_namespace, "wait", "pod/server", "--for=condition=Ready", "--timeout=60s")
    address = cluster.get("-n", cluster_namespace, "pod", "server")["status"]["podIP"]
    second_node.processes.signal("kubelet", signal.SIGSTOP)
    try:
        cluster.kubectl("wait", f"node/{name}", "--for=condition=Ready=Unknown", "--timeout=60s")
        client = python_pod("client", worker_image, FETCH, f"http://{address}:8080/")
        client["spec"]["nodeName"] = "node1"
        assert run(cluster, cluster_namespace, client) == Ended(0, "alive\n")
    finally:
        second_node.processes.signal("kubelet", signal.SIGCONT)
    cluster.kubectl("wait", f"node/{name}", "--for=condition=Ready", "--timeout=60s")


def test_a_killed_program_of_the_control_plane_is_started_again_on_its_data(
    cluster: ClusterAccess, breakable_cluster: Cluster, cluster_s3: S3Access, cluster_namespace: str, worker_image: str
) -> None:
    """etcd, apiserver and S3: what was there is there, and new pods run."""
    for program in ("etcd", "kube-apiserver", "minio"):
        breakable_cluster.kill(program)
        breakable_cluster.revive(program)
        cluster.get("namespace", cluster_namespace)
    pod = python_pod("after", worker_image, FETCH, f"{cluster_s3.endpoint}/")
    assert run(cluster, cluster_namespace, pod) == Ended(0, "403\n")
