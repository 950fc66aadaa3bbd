"""Garbage collection: kube-controller-manager against the core's explicit step, by what is left in the end."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from differential.servers import Server
from kubemr.local.apiserver.http import HttpServer, new_server
from support.controlplane import ApiServer, ControllerManager

NUMBERS = itertools.count(1)


def _left(server: Server, namespace: str) -> dict[str, list[str]]:
    """The config maps that are left, and the names of their owners."""
    status, text = server.exchange("GET", f"/api/v1/namespaces/{namespace}/configmaps")
    assert status == 200
    return {
        item["metadata"]["name"]: [owner["name"] for owner in item["metadata"].get("ownerReferences", ())]
        for item in json.loads(text)["items"]
        if item["metadata"]["name"] != "kube-root-ca.crt"  # put there by a controller
    }


def _play(server: Server, namespace: str, policy: str, blocking: bool) -> None:
    """An owner with a child, a grandchild, and a child of two owners; then the owner is deleted."""
    server.exchange("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    def make(name: str, *owners: Any) -> Any:
        references = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "name": o["name"],
                "uid": o["uid"],
                "blockOwnerDeletion": blocking,
            }
            for o in owners
        ]
        status, text = server.exchange("POST", path, {"metadata": {"name": name, "ownerReferences": references}})
        assert status == 201, text
        return json.loads(text)["metadata"]

    owner, other = make("owner"), make("other")
    make("grandchild", make("child", owner))
    make("shared", owner, other)
    assert server.exchange("DELETE", f"{path}/owner", {"propagationPolicy": policy})[0] == 200


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
def test_the_same_is_left(policy: str, blocking: bool, controlled: Server, patience: Callable[..., None]) -> None:
    """Whatever the policy, the same objects stay, with the same owners."""
    namespace = f"collect-{next(NUMBERS)}"
    front = HttpServer(new_server(), token="secret")
    front.start()
    embedded = Server(front.url, "secret", None)
    try:
        _play(embedded, namespace, policy, blocking)
        expected = _left(embedded, namespace)
    finally:
        embedded.close()
        front.stop()
    _play(controlled, namespace, policy, blocking)
    patience(
        lambda: _left(controlled, namespace) == expected, lambda: f"{_left(controlled, namespace)}, not {expected}"
    )


@pytest.fixture
def controlled(apiserver: ApiServer, controller_manager: ControllerManager) -> Iterator[Server]:
    """The real apiserver that the real controllers act on."""
    server = Server(apiserver.url, apiserver.token, apiserver.ca_file)
    yield server
    server.close()


@pytest.fixture
def patience() -> Callable[[Callable[[], bool], Callable[[], str]], None]:
    """Ask until it holds, for 30 s: another process does the work and says nothing when it is done."""

    def wait(holds: Callable[[], bool], shown: Callable[[], str]) -> None:
        end = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < end, shown()
            time.sleep(0.1)

    return wait
