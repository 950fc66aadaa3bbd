"""What strikes a node: with it its workers are lost, and not with its kubelet alone."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from support.cluster_node import Node
from support.faults.scene import PATIENCE, Scene, Task

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

Stage = Callable[..., AbstractContextManager[Scene]]
GATED: frozenset[Task] = frozenset({("0-map", 0)})
WORKERS = 4
LATEST = 20
"""So many tasks done, and each worker has others before it."""


def test_a_node_is_lost(stage: Stage, second_node: Node) -> None:
    """It and its containers are gone at once.

    The others do its workers' tasks when their Leases have expired.  Its pods are removed by force when Kubernetes has
    given the node up, and others take their place, while the node is still away.
    """
    with stage("a node: power cut", gated=True, workers=WORKERS, spread=True) as job:
        job.moment(last=LATEST)
        victim = job.victim(spare=GATED, node=second_node.site.name)
        there = [pod for pod in job.pods() if pod["spec"]["nodeName"] == second_node.site.name]
        assert len(there) == WORKERS // 2
        job.struck()
        job.cluster.lose_node(second_node)
        try:
            tasks = victim.tasks
            job.until_committed(tasks)
            names = {pod["metadata"]["uid"] for pod in there}
            job.wait(lambda: names.isdisjoint(pod["metadata"]["uid"] for pod in job.pods()), "the lost pods removed")
            job.open_gate()
            job.complete()
            job.gone()
        finally:
            job.cluster.bring_back(second_node)


def test_a_node_is_drained(stage: Stage, second_node: Node) -> None:
    """`kubectl drain`: its workers hand their tasks back, others take their place elsewhere, and nothing is lost."""
    with stage("a node: kubectl drain", workers=WORKERS, spread=True) as job:
        job.moment(last=LATEST)
        name, kubectl = second_node.site.name, job.kubemr.cluster.kubectl
        tasks = job.victim(node=name).tasks
        job.struck()
        try:
            options = ("--ignore-daemonsets", "--delete-emptydir-data", "--force")
            kubectl("drain", name, *options, f"--timeout={PATIENCE:g}s")
            job.until_committed(tasks)
            job.complete()
            assert (job.counted("losses"), job.counted("failures")) == (0, 0)
        finally:
            kubectl("uncordon", name)
            job.kubemr.settle()


def test_a_kubelet_is_frozen(stage: Stage, second_node: Node) -> None:
    """SIGSTOP until its node counts as unreachable: its workers go on, and nothing is lost."""
    with stage("a kubelet: SIGSTOP until its node is given up", gated=True, workers=WORKERS, spread=True) as job:
        job.moment(last=LATEST)
        name = second_node.site.name
        victim = job.victim(spare=GATED, node=name)
        tasks = victim.tasks
        job.struck()
        second_node.processes.signal("kubelet", signal.SIGSTOP)
        try:
            wait = ("wait", f"node/{name}", "--for=condition=Ready=Unknown", f"--timeout={PATIENCE}s")
            job.kubemr.cluster.kubectl(*wait)
            job.wait(lambda: all(job.history.latest()[task].committed for task in tasks), "its worker's tasks")
            job.open_gate()
            job.nothing_lost()
        finally:
            second_node.processes.signal("kubelet", signal.SIGCONT)
            ready = ("wait", f"node/{name}", "--for=condition=Ready", f"--timeout={PATIENCE}s")
            job.kubemr.cluster.kubectl(*ready)
