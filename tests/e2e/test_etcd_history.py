"""The benchmark finds the largest object of a job in etcd's history, after the job and its objects are gone."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from coordination import history
from support.binaries import ETCD
from support.controlplane import ApiServer, ControlPlane, Etcd
from support.left_out import require

MAP = "/api/v1/namespaces/{}/configmaps"


def test_what_shrank_and_what_was_removed_is_still_told(control_plane: ControlPlane, namespace: str) -> None:
    api, url = control_plane.apiserver, control_plane.etcd.url
    write(api, namespace, "before", 30_000)
    since = history.revision(url)
    write(api, namespace, "shrinks", 20_000)
    path = f"{MAP.format(namespace)}/shrinks"
    small = api.request("PATCH", path, {"data": {"text": ""}}, "application/merge-patch+json")
    assert small.status == 200
    assert api.request("DELETE", path).status == 200

    found = [(key, size) for key, size in history.sizes(url, since) if f"/{namespace}/" in key]

    assert {key.rsplit("/", 1)[1] for key, _ in found} == {"shrinks"}
    sizes = [size for _, size in found]
    assert 20_000 < sizes[0] < 21_000
    assert 0 < sizes[1] < 1000
    assert sizes[2] == 0


def test_nothing_was_written(tmp_path: Path) -> None:
    """It ends, where it waited for a revision that does not come."""
    require(ETCD)
    etcd = Etcd(tmp_path)
    try:
        put(etcd)
        assert list(history.sizes(etcd.url, history.revision(etcd.url))) == []
    finally:
        etcd.stop()


def test_a_history_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """And not a small object."""
    require(ETCD)
    etcd = Etcd(tmp_path)
    try:
        for _ in range(3):
            put(etcd)
        ask(etcd, "kv/compaction", {"revision": 3})
        with pytest.raises(RuntimeError, match="compacted up to 3"):
            list(history.sizes(etcd.url, 1))
    finally:
        etcd.stop()


def write(api: ApiServer, namespace: str, name: str, size: int) -> None:
    """A ConfigMap of so many bytes."""
    body = {"metadata": {"name": name}, "data": {"text": "x" * size}}
    assert api.request("POST", MAP.format(namespace), body).status == 201


def ask(etcd: Etcd, what: str, question: object) -> None:
    """Of etcd itself, which answers 200."""
    urllib.request.urlopen(f"{etcd.url}/v3/{what}", json.dumps(question).encode(), timeout=30).close()


def put(etcd: Etcd) -> None:
    """One more revision of a key."""
    ask(etcd, "kv/put", {"key": "YQ==", "value": "YQ=="})
