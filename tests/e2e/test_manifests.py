"""What `make deploy` applies and `make undeploy` removes, on a real apiserver with real controllers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubemr.coordination import names
from kubemr.locks.effects import Json
from support.accounts import until
from support.binaries import ETCD, KUBE
from support.controlplane import ControllerManager, ControlPlane
from support.left_out import require
from support.workerharness import ROOT

pytestmark = pytest.mark.long

OVERLAYS = ("base", "overlays/minio")
Manage = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster without nodes of its own, since the CRDs are removed from it."""
    require(ETCD, KUBE)
    folder = tmp_path_factory.mktemp("manifests")
    plane = ControlPlane(folder)
    try:
        manager = ControllerManager(folder, plane.apiserver)
        try:
            yield plane
        finally:
            manager.stop()
    finally:
        plane.stop()


@pytest.fixture
def manage(plane: ControlPlane, kubectl: Path) -> Manage:
    """`manifests/manage`."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("PURGE", "OVERLAY", "OPERATOR_IMAGE")}
        environ = {**kept, "KUBECONFIG": str(plane.apiserver.kubeconfig), "KUBECTL": str(kubectl), **environ}
        command = [str(ROOT / "manifests" / "manage"), *arguments]
        return subprocess.run(command, check=False, env=environ, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture
def ctl(plane: ControlPlane, kubectl: Path) -> Callable[..., str]:
    """Kubectl, which succeeds."""

    def run(*arguments: str, text: str = "") -> str:
        command = [str(kubectl), f"--kubeconfig={plane.apiserver.kubeconfig}", *arguments]
        done = subprocess.run(command, check=False, input=text, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def documents(manage: Manage, overlay: str = "base", **environ: str) -> list[Json]:
    """What `make render` writes."""
    done = manage("render", OVERLAY=overlay, **environ)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all((ROOT / done.stdout.strip()).read_text()))


def one(found: list[Json], kind: str, name: str = "kubemr-operator") -> Any:
    """The document of that kind and name."""
    (document,) = [each for each in found if each["kind"] == kind and each["metadata"]["name"] == name]
    return document


def test_the_image_is_an_argument(manage: Manage) -> None:
    """A registry with a port too; without a tag it is refused, since it would be the one of today."""

    def image(**environ: str) -> str:
        return str(
            one(documents(manage, **environ), "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
        )

    assert image() == "localhost/kubemr/operator:latest"
    assert image(OPERATOR_IMAGE="registry.example:5000/team/operator:1.2") == "registry.example:5000/team/operator:1.2"
    done = manage("render", OPERATOR_IMAGE="registry.example:5000/team/operator")
    assert done.returncode == 1
    assert "write it with its tag" in done.stderr
    assert list((ROOT / "dist").glob("overlay.*")) == []


def test_an_operator_that_is_alone_never_happens_by_intent(manage: Manage) -> None:
    """Two of them, of which one may be disturbed; each has a name of its own, and is told apart by Kubernetes."""
    found = documents(manage)
    deployment = one(found, "Deployment")
    assert deployment["spec"]["replicas"] == 2
    assert one(found, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environ = {each["name"]: each for each in container["env"]}
    assert environ["KUBEMR_INSTANCE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert {container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe", "startupProbe")} == {
        "health"
    }
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    for binding in ("ClusterRoleBinding", "RoleBinding"):
        (subject,) = one(found, binding)["subjects"]
        assert (subject["name"], subject["namespace"]) == (account, "kubemr")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_they_apply_cleanly(manage: Manage, ctl: Callable[..., str], overlay: str) -> None:
    """Unknown fields are errors; a second time nothing changes; the pods pass the namespace's restricted policy."""
    text = "\n---\n".join(json.dumps(each) for each in documents(manage, overlay))
    for _ in range(2):
        said = ctl("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-", text=text)
        assert "Warning" not in said

    def admitted() -> bool:
        deployments = json.loads(ctl("-n", "kubemr", "get", "deployments", "-o", "json"))["items"]
        assert len(deployments) == (1 if overlay == "base" else 2)
        return all((each.get("status") or {}).get("updatedReplicas") for each in deployments)

    until(admitted)
    events = json.loads(ctl("-n", "kubemr", "get", "events", "-o", "json"))["items"]
    assert [each["message"] for each in events if each["reason"] == "FailedCreate"] == []
    schemas = json.loads(ctl("get", "flowschemas", "kubemr-leases", "kubemr-operator", "-o", "json"))["items"]
    for schema in schemas:
        (condition,) = [each for each in schema["status"]["conditions"] if each["type"] == "Dangling"]
        assert condition["status"] == "False", schema["metadata"]["name"]


def everything(ctl: Callable[..., str]) -> set[str]:
    """What there is of kubemr, of any kind, in any namespace."""
    kinds = [
        kind for kind in ctl("api-resources", "--verbs=list", "-o", "name").split() if not kind.startswith("events")
    ]
    found: set[str] = set()
    for kind in kinds:
        for item in json.loads(ctl("get", kind, "--all-namespaces", "-o", "json", "--ignore-not-found") or "{}").get(
            "items", []
        ):
            metadata = item["metadata"]
            labels = metadata.get("labels") or {}
            names_ = (metadata["name"], metadata.get("namespace", ""), *labels)
            if any("kubemr" in name or "turbobytes" in name for name in names_):
                found.add(f"{kind} {metadata.get('namespace', '')}/{metadata['name']}")
    return found


def test_undeploy(plane: ControlPlane, manage: Manage, ctl: Callable[..., str], tmp_path: Path) -> None:
    """It refuses while there are jobs; with PURGE=1 nothing is left of anything, and another time does no harm."""
    before = documents(manage, "overlays/minio")
    text = "\n---\n".join(json.dumps(each) for each in before)
    ctl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)
    until(lambda: plane.apiserver.request("GET", names.JOBS.path()).status == 200)
    ctl("create", "namespace", "team")
    job = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "words", "namespace": "team"},
        "spec": {"image": "i", "inputs": ["a"]},
    }
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KUBEMR_")},
        "KUBEMR_APISERVER": plane.apiserver.url,
        "KUBEMR_APISERVER_CA": str(plane.apiserver.ca_file),
        "KUBEMR_APISERVER_TOKEN": plane.apiserver.token,
        "KUBEMR_LEASE_SECONDS": "2",
        "KUBEMR_STORAGE_URL": tmp_path.as_uri(),
        "PYTHONPATH": str(ROOT),
    }
    operator = subprocess.Popen([sys.executable, "-m", "kubemr.controller"], env=environ, stderr=subprocess.DEVNULL)
    try:
        ctl("create", "-f", "-", text=json.dumps(job))
        ctl("-n", "team", "wait", "--for=jsonpath={.status.phase}=DEPLOYED", "mrj/words", "--timeout=60s")
        refused = manage("undeploy", OVERLAY="overlays/minio")
        assert refused.returncode == 1
        assert "words" in refused.stderr
        assert "PURGE=1" in refused.stderr
        assert "team" in ctl("get", "mrj", "--all-namespaces")
        done = manage("undeploy", OVERLAY="overlays/minio", PURGE="1")
        assert done.returncode == 0, done.stderr
    finally:
        operator.send_signal(signal.SIGTERM)
        operator.wait(60)
    assert everything(ctl) == set()
    assert list(tmp_path.rglob("words*")) == []
    again = manage("undeploy", OVERLAY="overlays/minio")
    assert again.returncode == 0, again.stderr


def test_a_cluster_that_does_not_answer(manage: Manage, tmp_path: Path) -> None:
    """That no job is found there is no reason to go on."""
    nowhere = tmp_path / "kubeconfig"
    cluster = {"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}]}
    context = {"contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}], "current-context": "c"}
    nowhere.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **cluster, **context}))
    done = manage("undeploy", KUBECONFIG=str(nowhere))
    assert done.returncode != 0
    assert "127.0.0.1:9" in done.stderr
