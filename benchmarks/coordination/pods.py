"""One pod for each task: an Indexed Job of Kubernetes, on a cluster as in docs/cluster-tests.md."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from support.cluster import unless_running
from support.cluster_access import ClusterAccess
from support.cluster_images import PREFIX, archive
from support.cluster_machine import missing
from support.cluster_pods import pod
from support.cluster_watch import Change, Watch

CLOCK = "the Job's creation to Complete; the node has the image"


def lacks() -> list[str]:
    """What this machine would need for a node."""
    return [*missing(), *([] if archive("wordcount").exists() else ["the image of a worker (make images)"])]


def measure(tasks: int, workers: int, rounds: int) -> list[float]:
    """Pods in a second of a Job of so many that do nothing, as many at a time as there are workers; for each round.

    All on one cluster, which is theirs alone.
    """
    with unless_running("a benchmark") as own:
        if own is None:
            raise RuntimeError(
                "a cluster runs already, and would disturb the others: make cluster-down, or leave out pods by PODS=0"
            )
        own.access.load_image(archive("wordcount"))
        found = []
        for _ in range(rounds):
            found.append(tasks / _seconds(own.access, tasks, workers))
            print(f"one pod per task: {tasks:,} tasks, {found[-1]:.3g} tasks/s", flush=True)
        return found


def _seconds(cluster: ClusterAccess, tasks: int, workers: int) -> float:
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
    return ended - began


def _ended(change: Change) -> bool:
    conditions = (change.object.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)
