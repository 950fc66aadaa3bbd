"""The control plane of a whole cluster for the cases: its controllers are away meanwhile, and all is put back.

Controllers would add objects to the cases' namespaces, and act on their Jobs and pods.
So they are killed for as long as the block lasts.
What the cases left is removed by hand before they are there again, namespaces too: hundreds of them are minutes of work
for the controller that would do it, and the tests that follow would have to stand back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from differential.cases import MERGE_PATCH, PATHS
from differential.definitions import all_definitions
from differential.servers import Server
from support.cluster import Cluster, wait_for
from support.controlplane import ControlPlane

PREFIX = "case-"
"""What the names of the cases' namespaces begin with."""

_CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
_NAMESPACES = "/api/v1/namespaces"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@contextmanager
def control_plane_of(cluster: Cluster) -> Iterator[ControlPlane]:
    """The control plane without its controllers, on a cluster without kubemr; afterwards the cluster is as before."""
    for program in _CONTROLLERS:
        cluster.kill(program)
    apiserver = cluster.plane.apiserver
    server = Server(apiserver.url, apiserver.token, apiserver.ca_file)
    try:
        yield cluster.plane
        _clear(server, cluster)
    finally:
        for program in _CONTROLLERS:
            cluster.revive(program)
        _see_controllers_work(server, cluster)
        server.close()


def _clear(server: Server, cluster: Cluster) -> None:
    """Remove the cases' objects, then their namespaces, then the definitions."""
    for path in PATHS.values():
        collection = path.replace("/namespaces/{ns}", "")
        for item in _listed(server, collection):
            _remove(server, path.replace("{ns}", item["metadata"]["namespace"]), item["metadata"])
        assert not _listed(server, collection), f"{collection}: objects of the cases are still there"
    for item in _listed(server, _NAMESPACES):
        address = f"{_NAMESPACES}/{item['metadata']['name']}"
        server.exchange("DELETE", address)
        _must(
            server, "PUT", f"{address}/finalize", {"metadata": item["metadata"] | {"resourceVersion": ""}, "spec": {}}
        )
    assert not _listed(server, _NAMESPACES), "namespaces of the cases are still there"
    for definition in all_definitions():
        address = f"{_DEFINITIONS}/{definition['metadata']['name']}"
        _must(server, "DELETE", address)
        wait_for(f"{address} is gone", lambda: server.exchange("GET", address)[0] == 404, cluster.folder)  # noqa: B023


def _remove(server: Server, collection: str, metadata: dict[str, Any]) -> None:
    """Remove one object, whatever it waits for."""
    address = f"{collection}/{metadata['name']}"
    if metadata.get("finalizers"):
        _must(server, "PATCH", address, {"metadata": {"finalizers": None}}, MERGE_PATCH)
        if metadata.get("deletionTimestamp"):
            return  # that was all it waited for
    _must(server, "DELETE", f"{address}?gracePeriodSeconds=0&propagationPolicy=Background")


def _listed(server: Server, collection: str) -> list[dict[str, Any]]:
    """What there is of the cases' in a collection of all namespaces, or which of the namespaces are theirs."""
    items = json.loads(_must(server, "GET", collection))["items"]
    return [item for item in items if item["metadata"].get("namespace", item["metadata"]["name"]).startswith(PREFIX)]


def _see_controllers_work(server: Server, cluster: Cluster) -> None:
    """Wait until a new namespace gets its account, and until it is gone after its deletion."""
    address = f"{_NAMESPACES}/{PREFIX}controllers"
    _must(server, "POST", _NAMESPACES, {"metadata": {"name": address.rpartition("/")[2]}})
    account = f"{address}/serviceaccounts/default"
    wait_for("the controllers work", lambda: server.exchange("GET", account)[0] == 200, cluster.folder)
    _must(server, "DELETE", address)
    wait_for("the controllers end namespaces", lambda: server.exchange("GET", address)[0] == 404, cluster.folder)


def _must(server: Server, method: str, path: str, body: Any = None, content_type: str = "application/json") -> bytes:
    status, text = server.exchange(method, path, body, content_type)
    assert status < 300, f"{method} {path}: {status} {text!r}"
    return text
