"""A worker whose clock is an hour off: times are written for people, and nobody compares them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from kubemr.tasks.state import parse_token
from support.cluster_access import ClusterAccess
from support.faults.scene import Scene

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

Stage = Callable[..., AbstractContextManager[Scene]]

OFF_SECONDS = 3600
WORKER = 1
"""Whose clock it is."""

START = f"""
if [ "$JOB_COMPLETION_INDEX" = {WORKER} ]; then export PYTHONPATH=/clock; fi
exec python3 /program/slow.py
"""

CLOCK = f"""
import datetime, time
seconds, nanoseconds = time.time, time.time_ns
time.time = lambda: seconds() + {OFF_SECONDS}
time.time_ns = lambda: nanoseconds() + {OFF_SECONDS} * 10**9
class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds={OFF_SECONDS})
    @classmethod
    def utcnow(cls):
        return super().utcnow() + datetime.timedelta(seconds={OFF_SECONDS})
datetime.datetime = Shifted
"""
"""Python runs it at the start of each of the worker's processes.  The kernel's clock is one for all of a machine, and
libfaketime, which stands before it, breaks Python's sleep."""


@pytest.fixture(scope="module")
def clock(cluster: ClusterAccess, fault_namespace: str) -> dict[str, Any]:
    """A volume that shifts the clock of a Python that has it in its path."""
    metadata = {"name": "clock", "namespace": fault_namespace}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"sitecustomize.py": CLOCK}})
    return {"clock": {"configMap": {"name": "clock"}}}


def test_a_clock_is_an_hour_off(stage: Stage, clock: dict[str, Any]) -> None:
    """Its Lease says so, it does its share of the tasks, and nothing is lost or fails."""
    with stage("a worker: its clock an hour ahead", command=("/bin/sh", "-c", START), volumes=clock) as job:
        job.moment()
        job.struck()
        lease = f"{job.job.view.base}-w-{WORKER}"
        renewed = job.job.kubectl("get", "lease", lease, "-o", "jsonpath={.spec.renewTime}")
        ahead = datetime.datetime.fromisoformat(renewed) - datetime.datetime.now(datetime.UTC)
        assert abs(ahead.total_seconds() - OFF_SECONDS) < 300
        job.wait(
            lambda: any(
                state.committed and parse_token(state.holders[0])[0] == WORKER
                for state in job.history.latest().values()
            ),
            "a task that was done by the worker with the wrong clock",
        )
        job.nothing_lost()
