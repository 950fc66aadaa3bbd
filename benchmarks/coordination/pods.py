"""One pod for each task: an Indexed Job of Kubernetes, on a cluster as in docs/cluster-tests.md."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from attrs import frozen

from support.cluster import unless_running
from support.cluster_access import ClusterAccess
from support.cluster_images import PREFIX, archive
from support.cluster_machine import missing
from support.cluster_pods import pod
from support.cluster_watch import Change, Watch


@frozen
class Pods:
    """How long so many took."""

    tasks: int
    seconds: float


def lacks() -> list[str]:
    """What this machine would need for a node."""
    return [*missing(), *([] if archive("wordcount").exists() else ["the image of a worker (make images)"])]


def measure(tasks: int, workers: int) -> Pods:
    """A Job of so many pods that do nothing, as many at a time as there are workers; on a cluster of its own."""
    with unless_running("a benchmark") as own:
        if own is None:
            raise RuntimeError("a cluster runs already, and would disturb the others: make cluster-down")
        own.access.load_image(archive("wordcount"))
        return _run(own.access, tasks, workers)


def _run(cluster: ClusterAccess, tasks: int, workers: int) -> Pods:
    namespace = f"bench-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", namespace)
    spec = {
        "completionMode": "Indexed",
        "completions": tasks,
        "parallelism": workers,
        "template": {"spec": pod("", f"{PREFIX}/wordcount", ["true"])["spec"]},
    }
    job: Any = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "pods"}, "spec": spec}
    with Watch(cluster, f"/apis/batch/v1/namespaces/{namespace}/jobs") as watch:
        began = time.monotonic()
        cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(job))
        ended = watch.wait(lambda seen: next((each.seen for each in seen if _ended(each)), None), "its end", 300)
    return Pods(tasks, ended - began)


def _ended(change: Change) -> bool:
    conditions = (change.object.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)
