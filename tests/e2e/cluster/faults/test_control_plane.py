"""What strikes the servers that all depend on: work stands still at most as long as they are away, and none is lost."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from support.cluster_kubemr import NAMESPACE
from support.faults.processes import pod_processes
from support.faults.scene import Scene

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

Stage = Callable[..., AbstractContextManager[Scene]]

OUTAGE_SECONDS = 120.0


def test_the_operator_that_drives_the_job_is_killed(stage: Stage) -> None:
    """kill -9: the job goes on without it, and an operator drives it again when its Lease has expired."""
    # A job held open: it must not be over before the Lease of the dead one is.
    with stage("the operator that drives the job: kill -9", gated=True) as job:
        job.moment(first=0)
        driver = job.document.wait(lambda _: job.status.get("lockholder"), "an operator that drives it", 60)
        operators = pod_processes(job.cluster.nodes, KUBEMR_NAMESPACE=NAMESPACE)
        (process,) = [each for each in operators if driver.startswith(each.environ["KUBEMR_INSTANCE"])]
        job.struck()
        process.signal(signal.SIGKILL)
        job.document.wait(lambda _: job.status.get("lockholder") != driver, "another operator that drives it", 60)
        job.recovered()
        job.open_gate()
    # Another pod in place of the struck one: kubelet lets a container that has ended twice wait longer and longer.
    job.kubemr.kill(process.environ["KUBEMR_INSTANCE"])
    job.kubemr.settle()


@pytest.mark.parametrize("program", ["kube-apiserver", "etcd", "minio"])
def test_a_server_is_killed_and_started_again(stage: Stage, program: str) -> None:
    """kill -9: the next task is done when it is back, and no worker is taken for dead."""
    with stage(f"{program}: kill -9 and restart") as job:
        job.moment()
        job.struck()
        with job.without(program):
            pass
        job.until_progress()
        job.nothing_lost()


def test_the_apiserver_is_away_for_two_minutes(stage: Stage) -> None:
    """Much longer than any Lease: when it is back nobody is taken for dead."""
    with stage(f"kube-apiserver: away for {OUTAGE_SECONDS:g} s") as job:
        job.moment()
        job.struck()
        try:
            with job.without("kube-apiserver"):
                job.pause(OUTAGE_SECONDS)
            job.over()
            job.until_progress()
            job.nothing_lost()
        finally:
            job.cluster.start_clients_again()  # or the next test begins in their minute of waiting
