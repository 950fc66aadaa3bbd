"""Every right that is granted is used, and none is missing.

An operator and workers with the accounts of `manifests/base` take jobs through all of their lives on a real apiserver
with real controllers; its audit log then tells which rights they made use of.  Only the kubelet is not there: the test
starts the workers, each with a token that is bound to its pod.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import minio
import pytest
import yaml

from kubemr.controller.client import Client, PlainConnection
from kubemr.controller.operator import Operator
from kubemr.controller.settings import OperatorSettings
from kubemr.coordination import names
from kubemr.coordination.kinds import ROLES
from kubemr.locks.effects import Json, Resource
from support.accounts import PATIENCE, install, rendered, token_of
from support.audit import Audit, Right, granted
from support.binaries import ETCD, KUBE
from support.controlplane import ApiServer, ControllerManager, ControlPlane
from support.left_out import require
from support.minioserver import MinioServer
from support.workerharness import ROOT

pytestmark = pytest.mark.long

OPERATOR = "kubemr:kubemr-operator"
NAMESPACE = "team"
PODS = Resource("", "v1", "pods")
KUBERNETES_JOBS = Resource("batch", "v1", "jobs")
CONFIG_MAPS = Resource("", "v1", "configmaps")
NOWHERE = "http://127.0.0.1:9"
"""Nobody listens on the port `discard`."""

PROGRAM = """\
import time
import kubemr

class Worker(kubemr.JobWorker):
    def map(self, input):
        time.sleep(float(input))
        return {0: input}

    def reduce(self, inputs):
        return "+".join(inputs)

if __name__ == "__main__":
    kubemr.serve(Worker())
"""


class Place:
    """An apiserver with its audit log, and an administrator's view of one namespace."""

    def __init__(self, plane: ControlPlane, audit: Audit, environ: dict[str, str], folder: Path) -> None:
        self.plane = plane
        self.apiserver = plane.apiserver
        self.audits = [audit]
        self.environ = environ
        self.folder = folder
        self.program = folder / "worker.py"
        self.program.write_text(PROGRAM)

    async def ask(self, method: str, path: str, body: Json = None, content_type: str = "application/json") -> Json:
        """One request that succeeds; None when the object is not there."""
        reply = await asyncio.to_thread(self.apiserver.request, method, path, body, content_type)
        assert reply.status < 300 or reply.status == 404, reply.body
        return reply.body if reply.status < 300 else None

    async def submit(self, name: str, **spec: Json) -> None:
        """A new job."""
        spec = {"image": "i", "inputs": ["0"], "partitions": 1, "replicas": 1, **spec}
        body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": name}, "spec": spec}
        await self.ask("POST", names.JOBS.path(NAMESPACE), body)

    async def job(self, name: str) -> Json:
        """A job, or None."""
        return await self.ask("GET", names.JOBS.path(NAMESPACE, name))

    async def until(self, look: Callable[[], Any]) -> Json:
        """Ask until there is an answer; gives it."""
        async with asyncio.timeout(2 * PATIENCE):
            while True:
                found = await look()
                if found:
                    return found
                await asyncio.sleep(0.1)

    async def phase(self, name: str, phase: str) -> Json:
        """Wait until a job is so far."""

        async def look() -> Json:
            job = await self.job(name)
            return job if ((job or {}).get("status") or {}).get("phase") == phase else None

        return await self.until(look)

    async def gone(self, name: str) -> None:
        """Wait until a job is no more."""

        async def look() -> bool:
            return await self.job(name) is None

        await self.until(look)

    async def pods(self, job: Json, count: int) -> list[Json]:
        """Wait until the job has as many pods."""
        selector = f"{names.LABEL_UID}={job['metadata']['uid']}"

        async def look() -> Json:
            items = (await self.ask("GET", f"{PODS.path(NAMESPACE)}?labelSelector={selector}"))["items"]
            return items if len(items) == count else None

        return list(await self.until(look))

    async def work(self, job: Json, pod: Json) -> subprocess.Popen[str]:
        """What the kubelet would start in that pod."""
        base = names.base(job["metadata"]["name"], job["metadata"]["uid"], 1)
        config = await self.ask("GET", CONFIG_MAPS.path(NAMESPACE, names.config_map(base)))
        reference = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        body = {"spec": {"boundObjectRef": reference, "expirationSeconds": 3600}}
        token = await asyncio.to_thread(token_of, self.apiserver, NAMESPACE, pod["spec"]["serviceAccountName"], body)
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KUBEMR_")},
            **config["data"],
            **{name: value for name, value in self.environ.items() if name.endswith(("_KEY", "_KEY_ID"))},
            "KUBEMR_APISERVER": self.apiserver.url,
            "KUBEMR_APISERVER_CA": str(self.apiserver.ca_file),
            "KUBEMR_APISERVER_TOKEN": token,
            "JOB_COMPLETION_INDEX": pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"],
            "PYTHONPATH": str(ROOT),
        }
        return await asyncio.to_thread(self._start, environ)

    def _start(self, environ: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, str(self.program)], env=environ, stderr=subprocess.PIPE, text=True)

    async def bind(self, pod: Json) -> None:
        """As the scheduler does.  From then on a pod goes only when its node, or somebody by force, says so."""
        name = pod["metadata"]["name"]
        target = {"apiVersion": "v1", "kind": "Node", "name": "node"}
        await self.ask("POST", f"{PODS.path(NAMESPACE, name)}/binding", {"target": target, "metadata": {"name": name}})

    def used(self, account: str) -> set[Right]:
        """The rights that an account made use of."""
        return set().union(*(audit.used(account) for audit in self.audits))

    def denied(self, account: str) -> set[Right]:
        """The rights that it lacked."""
        return set().union(*(audit.denied(account) for audit in self.audits))

    @asynccontextmanager
    async def operator(self, url: str = "", **environ: str) -> AsyncIterator[None]:
        """An operator with the account of the manifests."""
        token = token_of(self.apiserver, *OPERATOR.split(":"))
        settings = OperatorSettings.from_environment({**self.environ, **environ})
        stop = asyncio.Event()
        connection = PlainConnection(url or self.apiserver.url, token, ca_file=str(self.apiserver.ca_file))
        async with Client(connection) as client:
            running = asyncio.create_task(Operator(client, settings).run(stop))
            try:
                yield
            finally:
                stop.set()
                await running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, kubectl: Path, minio_server: MinioServer) -> Iterator[Place]:
    """A control plane of its own, since only here an audit log is kept."""
    require(ETCD, KUBE)
    folder = tmp_path_factory.mktemp("rights")
    minio.Minio(
        minio_server.endpoint.removeprefix("http://"), minio_server.access_key, minio_server.secret_key, secure=False
    ).make_bucket("rights")
    environ = {
        "KUBEMR_NAMESPACE": "kubemr",
        "KUBEMR_INSTANCE": "op",
        "KUBEMR_LEASE_SECONDS": "2",
        "KUBEMR_S3_ENDPOINT": minio_server.endpoint,
        "KUBEMR_S3_REGION": minio_server.region,
        "KUBEMR_S3_BUCKET_NAME": "rights",
        "KUBEMR_S3_ACCESS_KEY_ID": minio_server.access_key,
        "KUBEMR_S3_SECRET_ACCESS_KEY": minio_server.secret_key,
        "KUBEMR_LEND_STORAGE_KEYS": "true",
    }
    audit = Audit(folder)
    plane = ControlPlane(folder, *audit.flags)
    try:
        manager = ControllerManager(folder, plane.apiserver)
        try:
            install(plane.apiserver, kubectl)
            plane.apiserver.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
            yield Place(plane, audit, environ, folder)
        finally:
            manager.stop()
    finally:
        plane.stop()


async def whole_life(place: Place) -> Json:
    """Deployed, scaled, worked on, cleaned up, and removed when its time has come; the account of its workers."""
    await place.submit("whole", inputs=["0", "3"], ttlSecondsAfterFinished=1, storage={"retentionPolicy": "None"})
    job = await place.phase("whole", "DEPLOYED")
    body = [{"op": "replace", "path": "/spec/replicas", "value": 2}]
    await place.ask("PATCH", names.JOBS.path(NAMESPACE, "whole"), body, "application/json-patch+json")
    pods = await place.pods(job, 2)
    account = pods[0]["spec"]["serviceAccountName"]
    role = await place.ask("GET", ROLES.path(NAMESPACE, account))
    for pod in pods:
        await place.bind(pod)
    workers = [await place.work(job, pod) for pod in pods]
    for pod, worker in zip(pods, workers, strict=True):
        _, log = await asyncio.to_thread(worker.communicate, timeout=PATIENCE)
        assert worker.returncode == 0, log
        await place.ask("DELETE", PODS.path(NAMESPACE, pod["metadata"]["name"]), {"gracePeriodSeconds": 0})
    await place.gone("whole")
    return role


async def workers_deleted(place: Place) -> None:
    """Somebody deletes the Kubernetes Job, which is made again; then the job."""
    await place.submit("deleted")
    job = await place.phase("deleted", "DEPLOYED")
    base = names.base("deleted", job["metadata"]["uid"], 1)
    path = KUBERNETES_JOBS.path(NAMESPACE, names.workers(base, 0))
    first = await place.ask("GET", path)
    await place.ask("DELETE", path, {"propagationPolicy": "Background"})

    async def again() -> bool:
        there = await place.ask("GET", path)
        return there is not None and there["metadata"]["uid"] != first["metadata"]["uid"]

    await place.until(again)
    await place.ask("DELETE", names.JOBS.path(NAMESPACE, "deleted"))
    await place.gone("deleted")


async def workers_ended(place: Place) -> None:
    """Their Kubernetes Job ended before any of them began."""
    await place.submit("ended")
    job = await place.phase("ended", "DEPLOYED")
    name = names.workers(names.base("ended", job["metadata"]["uid"], 1), 0)
    body = [{"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 1}]
    await place.ask("PATCH", KUBERNETES_JOBS.path(NAMESPACE, name), body, "application/json-patch+json")
    await place.phase("ended", "FAIL")
    await place.ask("DELETE", names.JOBS.path(NAMESPACE, "ended"))
    await place.gone("ended")


async def without_streaming_lists(place: Place) -> None:
    """As from an older server: the operator lists first, and then watches."""
    older = Audit(place.folder / "older")
    gate = "--feature-gates=WatchList=false"
    plane = place.plane
    server = ApiServer(place.folder / "older", plane.etcd, plane.certificates, *older.flags, gate)
    place.audits.append(older)
    try:
        async with place.operator(url=server.url):
            await place.submit("older", inputs=[])
            await place.phase("older", "COMPLETE")
    finally:
        await asyncio.to_thread(server.stop)


async def pod_on_a_lost_node(place: Place) -> None:
    """It is told to end, and nobody ends it."""
    template = {"spec": {"terminationGracePeriodSeconds": 1}}
    await place.submit("lost", template=template)
    job = await place.phase("lost", "DEPLOYED")
    (pod,) = await place.pods(job, 1)
    await place.bind(pod)
    await place.ask("DELETE", names.JOBS.path(NAMESPACE, "lost"))
    await place.gone("lost")


async def storage_gone(place: Place) -> None:
    """Two jobs whose prefixes are left to a sweep."""
    for name in ("adrift", "astray"):
        await place.submit(name, storage={"s3": {"endpoint": NOWHERE, "bucket": "bucket"}})
        await place.phase(name, "DEPLOYED")
    for name in ("adrift", "astray"):
        await place.ask("DELETE", names.JOBS.path(NAMESPACE, name))
    for name in ("adrift", "astray"):
        await place.gone(name)


def rules_of(kubectl: Path) -> list[Json]:
    """All rules that the manifests grant the operator."""
    documents = yaml.safe_load_all(rendered(kubectl))
    return [rule for each in documents if each["kind"] in ("ClusterRole", "Role") for rule in each["rules"]]


async def test_every_right_is_used_and_none_is_missing(place: Place, kubectl: Path) -> None:
    """Whoever adds a right, or code that needs one, is told here."""
    async with place.operator():
        others = (workers_deleted(place), workers_ended(place), pod_on_a_lost_node(place))
        role, *_ = await asyncio.gather(whole_life(place), *others)
    async with place.operator(KUBEMR_DELETION_DEADLINE_SECONDS="1"):
        await storage_gone(place)
    await without_streaming_lists(place)
    worker = f"{NAMESPACE}:{role['metadata']['name']}"
    for account in (OPERATOR, worker):
        assert place.denied(account) == set()
    theirs = granted(role["rules"])
    assert place.used(worker) == theirs
    assert granted(rules_of(kubectl)) == place.used(OPERATOR) | theirs


async def test_the_policies_fit_the_types(place: Place) -> None:
    """kube-controller-manager checks the expressions against the CRDs' schemas, and has nothing to say."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"

    async def checked() -> Json:
        items = (await place.ask("GET", path))["items"]
        return items if all((item.get("status") or {}).get("typeChecking") is not None for item in items) else None

    for policy in await place.until(checked):
        assert policy["status"]["typeChecking"] == {}, policy["metadata"]["name"]
