"""A flood of task patches does not hold up renewals: on a real apiserver with few seats, told by its own metrics.

Nothing here depends on how fast the machine is: what is compared is how long requests waited for a seat.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from kubemr.coordination import names
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json, Resource
from kubemr.tasks.shard import HINT_PATH
from support.accounts import Account, DeployedJob, install, token_of, until
from support.binaries import ETCD, KUBE
from support.controlplane import ApiServer, ControlPlane
from support.left_out import require

pytestmark = pytest.mark.long

SEATS = ("--max-requests-inflight=16", "--max-mutating-requests-inflight=8")
FLOOD = 60
"""Requests that are under way at once: more than there are seats."""
RENEWALS = 30
LEVELS = Resource("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations", namespaced=False)
SCHEMAS = Resource("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", namespaced=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, kubectl: Path) -> Iterator[ApiServer]:
    """One with few seats, and kubemr's manifests."""
    require(ETCD, KUBE)
    plane = ControlPlane(tmp_path_factory.mktemp("priority"), *SEATS)
    try:
        install(plane.apiserver, kubectl)
        yield plane.apiserver
    finally:
        plane.stop()


class Line:
    """A connection that is kept, and what the last answer said of its priority."""

    def __init__(self, account: Account) -> None:
        server = account.apiserver
        tls = ssl.create_default_context(cafile=str(server.ca_file))
        self._connection = HTTPSConnection(urllib.parse.urlsplit(server.url).netloc, context=tls, timeout=120)
        self._headers = {"Authorization": f"Bearer {account.token}", "Content-Type": "application/json-patch+json"}
        self.schema = self.level = ""

    def patch(self, target: Target, *operations: Json) -> int:
        """The status of a JSON Patch."""
        path = target.resource.path(target.namespace, target.name, target.subresource)
        return self._exchange("PATCH", f"{path}?fieldManager=kubemr", json.dumps(operations))

    def get(self, path: str) -> int:
        """The status of a GET."""
        return self._exchange("GET", path, None)

    def _exchange(self, method: str, path: str, body: str | None) -> int:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        answer.read()
        self.schema = answer.getheader("X-Kubernetes-PF-FlowSchema-UID") or ""
        self.level = answer.getheader("X-Kubernetes-PF-PriorityLevel-UID") or ""
        return answer.status

    def close(self) -> None:
        """End it."""
        self._connection.close()


def uid(server: ApiServer, resource: Resource, name: str) -> str:
    """Of an object of the administrator's."""
    return str(server.request("GET", resource.path(name=name)).body["metadata"]["uid"])


def metric(server: ApiServer, name: str, level: str) -> float:
    """The sum of a metric over everything at a priority level."""
    text = server.request("GET", "/metrics").body
    found = re.findall(rf'^{name}{{[^}}]*priority_level="{level}"[^}}]*}} (\S+)$', text, re.MULTILINE)
    return sum(map(float, found))


def classified(server: ApiServer, line: Line, name: str) -> bool:
    """The last answer came by way of this schema and level of ours."""
    return (line.schema, line.level) == (uid(server, SCHEMAS, name), uid(server, LEVELS, name))


def test_requests_go_to_levels_of_their_own(server: ApiServer) -> None:
    """Renewals, tasks and the job, the operator: by the apiserver's own headers."""
    job = DeployedJob(server, server.create_namespace(), "levels")
    worker = Line(job.worker(0))
    lease, shard = job.job.lease_of(0), job.shard()

    def renewals_have_their_level() -> bool:
        assert worker.patch(lease, {"op": "add", "path": "/spec/leaseTransitions", "value": 1}) == 200
        return classified(server, worker, "kubemr-leases")

    until(renewals_have_their_level)
    assert worker.patch(shard, {"op": "add", "path": HINT_PATH, "value": "open"}) == 200
    assert classified(server, worker, "kubemr-workers")
    assert worker.get(names.JOBS.path(job.job.namespace, job.job.name)) == 200
    assert classified(server, worker, "kubemr-workers")
    worker.close()
    operator = Line(Account(server, token_of(server, "kubemr", "kubemr-operator")))
    assert operator.get(names.JOBS.path()) == 200
    assert classified(server, operator, "kubemr-operator")
    operator.close()


def test_a_flood_of_task_patches_does_not_hold_up_renewals(server: ApiServer) -> None:
    """All renewals are served, and hardly wait, while the flood waits for its seats."""
    job = DeployedJob(server, server.create_namespace(), "flood")
    account, shards = job.worker(0), [job.shard(0), job.shard(1)]
    lines = [Line(account) for _ in range(FLOOD)]
    renewing, over = Line(account), threading.Event()
    statuses: list[int] = []

    def flood(number: int) -> None:
        hints = ("open", "drained")
        turn = 0
        while not over.is_set():
            turn += 1
            operation = {"op": "add", "path": HINT_PATH, "value": hints[(turn + number) % 2]}
            statuses.append(lines[number].patch(shards[number % 2], operation))

    waited = "apiserver_flowcontrol_request_wait_duration_seconds"
    levels = ("kubemr-workers", "kubemr-leases")
    before = {level: [metric(server, f"{waited}_{part}", level) for part in ("sum", "count")] for level in levels}
    threads = [threading.Thread(target=flood, args=(number,)) for number in range(FLOOD)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(statuses) > 2 * FLOOD)
        renewed = [
            renewing.patch(
                job.job.lease_of(0),
                {"op": "add", "path": "/spec/renewTime", "value": f"2026-01-01T00:00:00.{number:06d}Z"},
            )
            for number in range(RENEWALS)
        ]
        assert classified(server, renewing, "kubemr-leases")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    for line in (*lines, renewing):
        line.close()
    assert renewed == [200] * RENEWALS
    assert statuses.count(200) > FLOOD
    average = {}
    for level in levels:
        total, count = (
            metric(server, f"{waited}_{part}", level) - old
            for part, old in zip(("sum", "count"), before[level], strict=True)
        )
        assert count >= RENEWALS
        average[level] = total / count
    assert average["kubemr-workers"] > 0
    assert average["kubemr-leases"] < average["kubemr-workers"] / 4
    assert metric(server, "apiserver_flowcontrol_rejected_requests_total", "kubemr-leases") == 0
