"""The servers that other tests stand on are the real ones, come up twice in a row, and leave nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import minio
import pytest
import urllib3

from support.binaries import ETCD, KUBE, KUBERNETES, chosen_kubernetes
from support.controlplane import ApiServer, ControllerManager, ControlPlane
from support.daemon import Daemon, DaemonError
from support.left_out import require
from support.minioserver import MinioServer


def alive(pid: int) -> bool:
    """Whether a process of that id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_apiserver_answers_and_is_the_version_asked_for(apiserver: ApiServer) -> None:
    reply = apiserver.request("GET", "/version")
    assert (reply.status, reply.body["gitVersion"]) == (200, f"v{KUBERNETES[chosen_kubernetes()]}")


def test_a_fresh_namespace_is_empty(apiserver: ApiServer, namespace: str) -> None:
    """Of Leases, that is: when the real controllers run, they put a ConfigMap into every namespace."""
    reply = apiserver.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
    assert (reply.status, reply.body["items"]) == (200, [])


def test_a_conditional_patch_fails_when_its_test_does(apiserver: ApiServer, namespace: str) -> None:
    """The primitive that everything rests on: `test` then `replace`, refused with 422 when the value is another."""
    folder = f"/api/v1/namespaces/{namespace}/configmaps"
    apiserver.request("POST", folder, {"metadata": {"name": "lock"}, "data": {"holder": "nobody"}})

    def take(expected: str, mine: str) -> int:
        patch = [
            {"op": "test", "path": "/data/holder", "value": expected},
            {"op": "replace", "path": "/data/holder", "value": mine},
        ]
        return apiserver.request("PATCH", f"{folder}/lock", patch, "application/json-patch+json").status

    assert [take("nobody", "me"), take("nobody", "you")] == [200, 422]
    assert apiserver.request("GET", f"{folder}/lock").body["data"]["holder"] == "me"


def test_kubectl_reads_the_kubeconfig(apiserver: ApiServer, kubectl: Path, namespace: str) -> None:
    command = [str(kubectl), "--kubeconfig", str(apiserver.kubeconfig), "get", "namespace", namespace, "-o", "name"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == f"namespace/{namespace}\n"


@pytest.mark.long
def test_two_apiservers_share_one_etcd(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """What is written through one is read through the other at once."""
    second = ApiServer(tmp_path, control_plane.etcd, control_plane.certificates)
    try:
        folder = f"/api/v1/namespaces/{namespace}/configmaps"
        control_plane.apiserver.request("POST", folder, {"metadata": {"name": "shared"}})
        assert second.request("GET", f"{folder}/shared").status == 200
    finally:
        second.stop()


def test_the_client_certificate_is_an_administrators(control_plane: ControlPlane, tmp_path: Path) -> None:
    """The apiserver takes name and group from its subject, by the same code as a kubelet."""
    made = control_plane.certificates
    second = ApiServer(tmp_path, control_plane.etcd, made, f"--client-ca-file={made.ca}")
    try:
        with urllib3.PoolManager(
            ca_certs=str(made.ca), cert_file=str(made.kubelet_client), key_file=str(made.kubelet_client_key)
        ) as pool:
            url = f"{second.url}/apis/authentication.k8s.io/v1/selfsubjectreviews"
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            answer = pool.request("POST", url, json=review, timeout=30)
        assert answer.status == 201, answer.data
        user = answer.json()["status"]["userInfo"]
        assert (user["username"], "system:masters" in user["groups"]) == ("kube-apiserver-kubelet-client", True)
    finally:
        second.stop()


def test_the_controllers_make_the_default_service_account(
    controller_manager: ControllerManager, apiserver: ApiServer, namespace: str
) -> None:
    """A sign that kube-controller-manager acts on what the apiserver stores."""
    watch = f"/api/v1/namespaces/{namespace}/serviceaccounts?watch=true&timeoutSeconds=30"
    headers = {"Authorization": f"Bearer {apiserver.token}"}
    with urllib3.PoolManager(ca_certs=str(apiserver.ca_file)) as pool:
        answer = pool.request("GET", apiserver.url + watch, headers=headers, preload_content=False, timeout=60)
        first = next(answer.stream(65536))
        answer.close()
    assert b'"name":"default"' in first


@pytest.mark.long
def test_a_control_plane_starts_twice_in_a_row_and_leaves_nothing(tmp_path: Path) -> None:
    """Each start is a new, empty cluster; each stop ends both processes and removes the data."""
    require(ETCD, KUBE)
    for _ in range(2):
        plane = ControlPlane(tmp_path)
        pids = [plane.etcd.daemon.pid, plane.apiserver.daemon.pid]
        try:
            name = "/api/v1/namespaces/default/configmaps"
            assert plane.apiserver.request("POST", name, {"metadata": {"name": "once"}}).status == 201
        finally:
            plane.stop()
        assert [pid for pid in pids if alive(pid)] == []
        assert not (tmp_path / "etcd-data").exists()


def test_minio_stores_an_object(minio_server: MinioServer) -> None:
    client = minio.Minio(
        minio_server.endpoint.removeprefix("http://"),
        minio_server.access_key,
        minio_server.secret_key,
        region=minio_server.region,
        secure=False,
    )
    client.make_bucket("first")
    client.fput_object("first", "key", __file__)
    answer = client.get_object("first", "key")
    try:
        assert answer.read() == Path(__file__).read_bytes()
    finally:
        answer.close()
        answer.release_conn()


def test_a_server_that_ends_early_is_reported_with_its_log(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo the reason; exit 3"]
    with pytest.raises(DaemonError, match=r"(?s)sh ended with status 3;.*the reason"):
        Daemon("sh", command, tmp_path / "log").wait_ready(lambda: False)


def test_a_server_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    daemon = Daemon("sleep", ["/bin/sleep", "1000"], tmp_path / "log")
    with pytest.raises(DaemonError, match=r"sleep was not ready within 0\.1 s"):
        daemon.wait_ready(lambda: False, deadline=0.1)
    assert not alive(daemon.pid)
