"""The cluster that other tests stand on works: pods run, reach the apiserver by its service, names and S3; Jobs end."""

from __future__ import annotations

import json

import pytest

from support.cluster_access import ClusterAccess, S3Access
from support.cluster_pods import Ended, python_pod, run

pytestmark = pytest.mark.cluster

CALL_THE_APISERVER = """
import http.client, pathlib, ssl, sys
account = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
token, namespace = (account / "token").read_text(), (account / "namespace").read_text()
trust = ssl.create_default_context(cafile=str(account / "ca.crt"))
connection = http.client.HTTPSConnection(sys.argv[1], timeout=20, context=trust)
for path in ("/version", f"/api/v1/namespaces/{namespace}/secrets"):
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    print(answer.status, answer.read().decode().replace("\\n", " "))
"""

USE_S3 = """
import io, os, sys, minio
endpoint = sys.argv[1].removeprefix("http://").removeprefix("https://")
s3 = minio.Minio(endpoint, os.environ["KEY"], os.environ["SECRET"], region=sys.argv[2],
                 secure=sys.argv[1].startswith("https"))
s3.make_bucket(sys.argv[3])
s3.put_object(sys.argv[3], "from-a-pod", io.BytesIO(b"hello"), 5)
print(s3.get_object(sys.argv[3], "from-a-pod").read().decode())
s3.remove_object(sys.argv[3], "from-a-pod")
s3.remove_bucket(sys.argv[3])
"""

SERVE = """
import http.server
class Served(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"served")
http.server.HTTPServer(("", 8080), Served).serve_forever()
"""

FETCH = """
import sys, time, urllib.request
for attempt in range(50):  # the service's address is known a moment after its pod is ready
    try:
        print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())
        break
    except OSError as error:
        reason = error
        time.sleep(0.2)
else:
    sys.exit(str(reason))
"""


def test_every_node_is_ready(cluster: ClusterAccess) -> None:
    nodes = cluster.get("nodes")["items"]
    ready = [
        condition["status"]
        for node in nodes
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready"
    ]
    assert nodes
    assert set(ready) == {"True"}


def test_a_pod_reaches_the_apiserver_by_its_service_address_as_its_own_account(
    cluster: ClusterAccess, cluster_namespace: str, worker_image: str
) -> None:
    """It is let in (200), and it may not list secrets (403), as who it says it is."""
    address = cluster.get("service", "kubernetes", "--namespace=default")["spec"]["clusterIP"]
    ended = run(cluster, cluster_namespace, python_pod("api", worker_image, CALL_THE_APISERVER, address))
    lines = ended.log.splitlines()
    assert ([line[:3] for line in lines], ended.status) == (["200", "403"], 0), ended.log
    assert f"system:serviceaccount:{cluster_namespace}:default" in lines[1]


def test_a_pod_resolves_the_name_of_a_service(
    cluster: ClusterAccess, cluster_namespace: str, worker_image: str
) -> None:
    """The certificate holds the name too, so this is the apiserver and no other."""
    pod = python_pod("dns", worker_image, CALL_THE_APISERVER, "kubernetes.default.svc")
    ended = run(cluster, cluster_namespace, pod)
    assert ended.log.startswith("200"), ended.log


def test_a_pod_reaches_s3(
    cluster: ClusterAccess, cluster_s3: S3Access, cluster_namespace: str, worker_image: str
) -> None:
    keys = {"KEY": cluster_s3.access_key, "SECRET": cluster_s3.secret_key}
    arguments = (cluster_s3.endpoint, cluster_s3.region, cluster_namespace)
    pod = python_pod("s3", worker_image, USE_S3, *arguments, env=keys)
    assert run(cluster, cluster_namespace, pod) == Ended(0, "hello\n")


def test_a_pod_reaches_another_by_its_service(
    cluster: ClusterAccess, cluster_namespace: str, worker_image: str
) -> None:
    """Both on one node: the service's address is translated there and back."""
    server = python_pod("server", worker_image, SERVE)
    server["metadata"]["labels"] = {"app": "server"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server", "namespace": cluster_namespace},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    cluster.apply(service)
    cluster.kubectl("-n", cluster_namespace, "create", "-f", "-", stdin=json.dumps(server))
    cluster.kubectl("-n", cluster_namespace, "wait", "pod/server", "--for=condition=Ready", "--timeout=60s")
    client = python_pod("client", worker_image, FETCH, f"http://server.{cluster_namespace}/")
    assert run(cluster, cluster_namespace, client) == Ended(0, "served\n")


def test_an_indexed_job_of_three_completes(cluster: ClusterAccess, cluster_namespace: str, worker_image: str) -> None:
    code = "import os; print(os.environ['JOB_COMPLETION_INDEX'])"
    spec = {
        "completionMode": "Indexed",
        "completions": 3,
        "parallelism": 3,
        "template": {"spec": python_pod("", worker_image, code)["spec"]},
    }
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "three"}, "spec": spec}
    cluster.kubectl("-n", cluster_namespace, "create", "-f", "-", stdin=json.dumps(job))
    cluster.kubectl("-n", cluster_namespace, "wait", "job/three", "--for=condition=Complete", "--timeout=60s")
    log = cluster.kubectl("-n", cluster_namespace, "logs", "-l", "batch.kubernetes.io/job-name=three")
    assert sorted(log.split()) == ["0", "1", "2"]
