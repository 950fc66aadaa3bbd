"""From `kubectl create` to the end: a job of three small inputs and two workers, against a Kubernetes Job of such pods.

The plain Job runs the same image in two pods, whose program is `true`: what Kubernetes takes to start pods and to see
that they have ended, and nothing else.  Both are created by kubectl and followed by a watch, in turns, on one cluster
(docs/cluster-tests.md tells which); the image is on the node.  Each ends with its condition `Complete`; of kubemr the
last worker writes it, so it does not wait for the pods.  kubemr may take `LIMIT` seconds more than the plain Job; exit
code 1 when it does not keep to that.  Writes `build/bench/latency.json`::

    make bench-latency ROUNDS=10
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from figures import write
from support.cluster import description, unless_running, work_folder
from support.cluster_access import ClusterAccess
from support.cluster_documents import Documents, served
from support.cluster_images import PREFIX, archive
from support.cluster_kubemr import Kubemr, jobs_of, word_count
from support.cluster_pods import pod
from support.cluster_watch import Change, Watch

LIMIT = 2.0
"""Seconds beyond a plain Job."""
WORKERS = 2
PARTITIONS = 2


@contextmanager
def some_cluster() -> Iterator[ClusterAccess]:
    """The one that is named, or runs, or one of our own."""
    named = ClusterAccess.from_environment()
    if named is not None:
        yield named
        return
    with unless_running("a benchmark") as own:
        yield own.access if own is not None else ClusterAccess.load(description(work_folder()))


def ended(change: Change) -> bool:
    """Whether this is the end of a Job or of a MapReduceJob."""
    conditions = (change.object.get("status") or {}).get("conditions") or []
    assert not any(each["type"] == "Failed" and each["status"] == "True" for each in conditions), conditions
    return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)


def took(cluster: ClusterAccess, namespace: str, path: str, manifest: Any) -> float:
    """Seconds from the start of `kubectl create` until a watch shows the end; all of it is gone afterwards."""
    with Watch(cluster, path) as watch, Watch(cluster, f"/api/v1/namespaces/{namespace}/pods") as pods:
        began = time.monotonic()
        cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(manifest))
        seconds = (
            watch.wait(lambda seen: next((each.seen for each in seen if ended(each)), None), "its end", 120) - began
        )
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        cluster.kubectl("-n", namespace, "delete", kind, name, "--cascade=foreground", "--timeout=60s")
        pods.wait(
            lambda seen: sum(each.type == "ADDED" for each in seen) == sum(each.type == "DELETED" for each in seen),
            "its pods are gone",
            60,
        )
    return seconds


def plain_job(image: str) -> Any:
    """Two pods that do nothing."""
    spec = {
        "completionMode": "Indexed",
        "completions": WORKERS,
        "parallelism": WORKERS,
        "template": {"spec": pod("", image, ["true"])["spec"]},
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "plain"}, "spec": spec}


def measure(cluster: ClusterAccess, documents: Documents, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of kubemr and of the plain Job, by round; the first round is not counted."""
    image = f"{PREFIX}/wordcount"
    namespace = f"e2e-{secrets.token_hex(4)}"
    ours, plain = [], []
    cluster.kubectl("create", "namespace", namespace)
    try:
        for number in range(rounds + 1):
            job = word_count("words", image, documents.urls(), replicas=WORKERS, partitions=PARTITIONS)
            ours.append(took(cluster, namespace, jobs_of(namespace), job))
            plain.append(took(cluster, namespace, f"/apis/batch/v1/namespaces/{namespace}/jobs", plain_job(image)))
            print(
                f"{'not counted' if number == 0 else number}: kubemr {ours[-1]:.2f} s, plain Job {plain[-1]:.2f} s",
                flush=True,
            )
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--timeout=120s")
    return ours[1:], plain[1:]


def main() -> int:
    """Measure, print, write."""
    rounds = int(os.environ.get("ROUNDS") or 10)
    with some_cluster() as cluster:
        if cluster.s3 is None:
            print("an S3 server that pods reach is needed: KUBEMR_E2E_S3_ENDPOINT", file=sys.stderr)
            return 2
        if cluster.loads_images:
            for name in ("operator", "worker", "wordcount"):
                cluster.load_image(archive(name))
        kubemr = Kubemr(cluster, cluster.s3, f"{PREFIX}/operator")
        with tempfile.TemporaryDirectory() as folder, served(cluster, f"{PREFIX}/worker", Path(folder)) as documents:
            kubemr.deploy()
            try:
                ours, plain = measure(cluster, documents, rounds)
            finally:
                kubemr.undeploy()
    value, peer = statistics.median(ours), statistics.median(plain)
    results = [
        {
            "name": "from create to COMPLETE",
            "value": round(value, 2),
            "unit": "s",
            "peer": "Kubernetes Job of two such pods that run `true`",
            "peer_value": round(peer, 2),
            "ratio": round(value / peer, 2),
        },
        {"name": "beyond the plain Job", "value": round(value - peer, 2), "unit": "s"},
    ]
    write("latency", results)
    print(f"medians of {rounds}: kubemr {value:.2f} s, plain Job {peer:.2f} s, ratio {value / peer:.2f}; "
          f"{value - peer:.2f} s beyond, {LIMIT:g} s are allowed")  # fmt: skip
    return 0 if value - peer <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
