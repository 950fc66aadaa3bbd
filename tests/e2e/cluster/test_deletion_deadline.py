"""A deletion that cannot be carried out in time lets go of the job, says so, and is finished later."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kubemr.controller.reconcile.storage.orphaned_prefixes import NAME
from support.cluster_access import ClusterAccess, KubectlError, S3Access
from support.cluster_documents import PAGES, Documents, text_of, words_of
from support.cluster_inventory import until_nothing
from support.cluster_kubemr import NAMESPACE, Job, Kubemr, until, word_count
from support.cluster_pods import python_pod

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

FORWARD = """
import asyncio, sys
host, port = sys.argv[1].rsplit("/")[-1].rsplit(":", 1)
async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def serve(reader, writer):
    there = await asyncio.open_connection(host, int(port))
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer), return_exceptions=True)
async def main():
    async with await asyncio.start_server(serve, "", 9000) as server:
        await server.serve_forever()
asyncio.run(main())
"""
LINGER = ["python3", "-c", "import signal; signal.pause()"]
"""What keeps a pod from ending until its grace period has passed: process 1 that does not handle SIGTERM."""


@pytest.fixture(scope="module")
def impatient(installation: Kubemr) -> Iterator[Kubemr]:
    """Operators that wait for 12 s."""
    installation.deploy()
    with installation.settings(KUBEMR_DELETION_DEADLINE_SECONDS="12"):
        yield installation


@pytest.fixture
def entrance(cluster: ClusterAccess, cluster_s3: S3Access, cluster_namespace: str, worker_image: str) -> str:
    """The S3 server as a service of the namespace, which is down when its pod `s3` is; and a Secret with its keys."""
    metadata = {"name": "s3", "namespace": cluster_namespace}
    keys = {"accessKeyId": cluster_s3.access_key, "secretAccessKey": cluster_s3.secret_key}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": "s3"}, "ports": [{"port": 9000}]},
        },
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys},
    )
    s3_up(cluster, cluster_s3, cluster_namespace, worker_image)
    return f"http://s3.{cluster_namespace}.svc:9000"


def s3_up(cluster: ClusterAccess, s3: S3Access, namespace: str, image: str) -> None:
    """Start what stands between the service and the server."""
    pod = python_pod("s3", image, FORWARD, s3.endpoint)
    pod["metadata"]["labels"] = {"app": "s3"}
    pod["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": 9000}, "periodSeconds": 1}
    cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(pod))
    cluster.kubectl("-n", namespace, "wait", "pod/s3", "--for=condition=Ready", "--timeout=60s")


def reasons(job: Job) -> dict[str, str]:
    """The messages of its Events, by reason."""
    events = json.loads(
        job.kubectl("get", "events", f"--field-selector=involvedObject.uid={job.view.uid}", "-o", "json")
    )
    return {event["reason"]: event["message"] for event in events["items"]}


def test_with_the_s3_server_down(
    cluster: ClusterAccess,
    cluster_s3: S3Access,
    impatient: Kubemr,
    cluster_namespace: str,
    entrance: str,
    documents: Documents,
    worker_image: str,
    wordcount_image: str,
) -> None:
    """Released after the deadline; an Event and a metric say so; swept when the server is back."""
    kubemr = impatient
    storage = {
        "s3": {"endpoint": entrance, "bucket": kubemr.bucket, "region": cluster_s3.region, "secretRef": {"name": "s3"}}
    }
    job = kubemr.submit(cluster_namespace, word_count("stranded", wordcount_image, documents.urls(), storage=storage))
    job.wait()
    assert job.words() == words_of(*map(text_of, PAGES))
    until(lambda: not job.children("pods"), "its pods are gone", 60)
    before = {name: kubemr.metric(f"kubemr_{name}_prefixes_total") for name in ("unswept", "swept")}
    cluster.kubectl("-n", cluster_namespace, "delete", "pod", "s3", "--grace-period=1")
    job.kubectl("delete", "mrj", job.name, "--timeout=90s")
    said = reasons(job)
    assert f"released with objects left below {job.view.storage_prefix}" in said["StorageOrphaned"]
    assert kubemr.metric("kubemr_unswept_prefixes_total") == before["unswept"] + 1
    assert job.left()
    s3_up(cluster, cluster_s3, cluster_namespace, worker_image)
    until_nothing(job.left)
    assert kubemr.metric("kubemr_swept_prefixes_total") == before["swept"] + 1
    assert not cluster.get("-n", NAMESPACE, "configmap", NAME).get("data")


def test_the_same_name_again_while_the_pods_are_still_ending(
    impatient: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str, worker_image: str
) -> None:
    """The second job shares nothing with the first, whose pods outlive it: it completes, and both leave nothing."""
    kubemr = impatient
    first_spec = word_count("again", wordcount_image, documents.urls(gate=cluster_namespace))
    pod = first_spec["spec"]["template"]["spec"]
    pod["containers"].append(
        {"name": "lingers", "image": worker_image, "imagePullPolicy": "IfNotPresent", "command": LINGER}
    )
    pod["terminationGracePeriodSeconds"] = 40
    first = kubemr.submit(cluster_namespace, first_spec)
    until(lambda: running(first) == 2, "both workers run", 60)
    first.kubectl("delete", "mrj", first.name, "--timeout=60s")
    second = kubemr.submit(cluster_namespace, word_count("again", wordcount_image, documents.urls()))
    assert len(first.children("pods")) == 2
    second.wait()
    assert second.words() == words_of(*map(text_of, PAGES))
    first.gone(90)
    second.delete()


def running(job: Job) -> int:
    """How many of its pods are."""
    return sum(pod["status"].get("phase") == "Running" for pod in job.children("pods"))


def test_the_name_is_taken_until_then(
    impatient: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str
) -> None:
    """As long as a deletion goes on, Kubernetes refuses a job of the same name; afterwards it takes it."""
    kubemr = impatient
    manifest = word_count("taken", wordcount_image, documents.urls(gate=cluster_namespace))
    first = kubemr.submit(cluster_namespace, manifest)
    until(lambda: running(first) == 2, "both workers run", 60)
    first.kubectl("delete", "mrj", first.name, "--wait=false")
    with pytest.raises(KubectlError, match="AlreadyExists"):
        kubemr.submit(cluster_namespace, manifest)
    first.kubectl("wait", f"mrj/{first.name}", "--for=delete", "--timeout=60s")
    second = kubemr.submit(cluster_namespace, manifest)
    documents.open_gate(cluster_namespace)
    second.wait()
    first.gone()
    second.delete()
