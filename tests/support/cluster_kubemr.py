"""kubemr on a cluster, as `make deploy` puts it there: operators with a store of their own, which is lent to jobs."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minio import Minio

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from support.cluster_access import ClusterAccess, S3Access
from support.cluster_inventory import client, inventory, mentioning, stored, until_nothing
from support.left_out import leave_out
from support.workerharness import ROOT

NAMESPACE = "kubemr"
OPERATOR = "deployment/kubemr-operator"
OPERATORS = "app.kubernetes.io/component=operator"
PREFIX = "kubemr"
"""What the keys of all jobs begin with in the bucket."""


def jobs_of(namespace: str = "") -> str:
    """Where the MapReduceJobs of a namespace are, or all of them, for a `Watch`."""
    return names.JOBS.path(namespace or None)


def manage(cluster: ClusterAccess, command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`manifests/manage`, as `make` calls it."""
    environ = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "KUBECTL": str(cluster.kubectl_program), **environ}
    program = [str(ROOT / "manifests" / "manage"), command]
    return subprocess.run(program, check=False, env=environ, capture_output=True, text=True, timeout=280)


@dataclass
class Kubemr:
    """An installation.  `bucket` is its own, and empty but for what jobs store."""

    cluster: ClusterAccess
    s3: S3Access
    image: str
    """The operators'."""
    bucket: str = ""
    before: Mapping[str, str] = field(default_factory=dict)
    """What there was on the cluster before it was installed."""

    @property
    def store(self) -> Minio:
        """The S3 server."""
        return client(self.s3)

    def deploy(self) -> None:
        """`make deploy`, with two operators that are ready afterwards.  No-op when it is there."""
        if self.bucket:
            return
        cluster = self.cluster
        if cluster.kubectl("get", "crd", "mapreducejobs.turbobytes.com", "--ignore-not-found", "-o", "name"):
            leave_out("a cluster without kubemr", "make undeploy PURGE=1")
        self.before = inventory(cluster)
        bucket = f"kubemr-{secrets.token_hex(4)}"
        self.store.make_bucket(bucket)
        self.bucket = bucket
        namespace = (ROOT / "manifests" / "base" / "namespace.yaml").read_text()
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=namespace)
        settings = {
            "KUBEMR_S3_ENDPOINT": self.s3.endpoint,
            "KUBEMR_S3_REGION": self.s3.region,
            "KUBEMR_S3_BUCKET_NAME": bucket,
            "KUBEMR_S3_BUCKET_PREFIX": PREFIX,
            "KUBEMR_S3_ACCESS_KEY_ID": self.s3.access_key,
            "KUBEMR_S3_SECRET_ACCESS_KEY": self.s3.secret_key,
            "KUBEMR_LEND_STORAGE_KEYS": "true",
            "KUBEMR_SWEEP_SECONDS": "10",
        }
        metadata = {"name": "kubemr-storage", "namespace": NAMESPACE}
        cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": settings})
        done = manage(cluster, "deploy", OPERATOR_IMAGE=f"{self.image}:latest")
        assert done.returncode == 0, done.stderr

    def undeploy(self) -> None:
        """`make undeploy PURGE=1`, after which nothing is left.  No-op when it is not there."""
        if not self.bucket:
            return
        done = manage(self.cluster, "undeploy", PURGE="1")
        assert done.returncode == 0, done.stderr
        until_nothing(lambda: stored(self.store, self.bucket))
        self.store.remove_bucket(self.bucket)
        self.bucket = ""
        until_nothing(self._left)

    def _left(self) -> list[str]:
        """What is there and was not before, but for what goes with tests' namespaces, and Kubernetes' own."""
        now = inventory(self.cluster)
        return sorted(
            name for name in now.keys() - self.before.keys() if " kube-system/" not in name and '"e2e-' not in now[name]
        )

    def submit(self, namespace: str, manifest: Any) -> Job:
        """`kubectl create`: a job as a document, or as a file's text."""
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        created = json.loads(self.cluster.kubectl("-n", namespace, "create", "-f", "-", "-o", "json", stdin=text))
        return Job(self, JobView.of(created))

    def pods(self) -> list[Any]:
        """The operators' pods."""
        found: list[Any] = self.cluster.get("pods", "-n", NAMESPACE, "-l", OPERATORS)["items"]
        return found

    def has_ended(self) -> bool:
        """No operator is left."""
        return not self.pods()

    def scale(self, operators: int) -> None:
        """Have so many operators, all of them ready; none means that the last one has ended."""
        self.cluster.kubectl("-n", NAMESPACE, "scale", OPERATOR, f"--replicas={operators}")
        self.settle()
        if operators == 0:
            until(self.has_ended, "the last operator is gone", 60)

    def settle(self) -> None:
        """Wait until all operators that there should be are ready, and no others are left."""
        self.cluster.kubectl("-n", NAMESPACE, "rollout", "status", OPERATOR, "--timeout=120s")

    def kill(self, pod: str) -> None:
        """End an operator without warning, and its pod with it; another pod takes its place."""
        if self.cluster.nodes:
            for environment in Path("/proc").glob("[0-9]*/environ"):
                with suppress(OSError):  # it has ended meanwhile
                    if f"KUBEMR_INSTANCE={pod}\0" in environment.read_text(errors="replace"):
                        os.kill(int(environment.parent.name), signal.SIGKILL)
        options = ("--grace-period=0", "--force", "--wait=false", "--ignore-not-found")
        self.cluster.kubectl("-n", NAMESPACE, "delete", "pod", pod, *options)

    @contextmanager
    def operators(self, count: int) -> Iterator[None]:
        """So many of them in the block, and two again after it."""
        self.scale(count)
        try:
            yield
        finally:
            self.scale(2)

    @contextmanager
    def settings(self, **environ: str) -> Iterator[None]:
        """Operators with other settings in the block."""
        self.cluster.kubectl(
            "-n", NAMESPACE, "set", "env", OPERATOR, *(f"{key}={value}" for key, value in environ.items())
        )
        try:
            self.settle()
            yield
        finally:
            self.cluster.kubectl("-n", NAMESPACE, "set", "env", OPERATOR, *(f"{key}-" for key in environ))
            self.settle()

    def metric(self, name: str) -> float:
        """The sum of a metric over all operators."""
        total = 0.0
        for pod in self.pods():
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
            lines = self.cluster.kubectl("get", "--raw", path).splitlines()
            total += sum(float(line.split()[1]) for line in lines if line.split()[0] == name)
        return total


@dataclass(frozen=True)
class Job:
    """A MapReduceJob that was created."""

    kubemr: Kubemr
    view: JobView
    """As it was then."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.view.name

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.view.namespace

    def is_in(self, document: Any) -> bool:
        """Whether `document` is this job, as it was at some time."""
        return bool(document["metadata"].get("uid") == self.view.uid)

    def kubectl(self, *arguments: str) -> str:
        """In its namespace."""
        return self.kubemr.cluster.kubectl("-n", self.namespace, *arguments)

    def get(self) -> Any:
        """The job as it is now."""
        return json.loads(self.kubectl("get", "mrj", self.name, "-o", "json"))

    def children(self, kind: str) -> list[Any]:
        """Objects of a kind that carry its label."""
        found: list[Any] = json.loads(self.kubectl("get", kind, "-l", names.selector(self.view.uid), "-o", "json"))[
            "items"
        ]
        return found

    def workers(self) -> int:
        """How many of them have taken their Leases."""
        return sum(bool(lease["spec"].get("holderIdentity")) for lease in self.children("leases"))

    def wait(self, condition: str = "Complete", seconds: float = 120) -> Any:
        """The job when it has the condition; what is said of it when it does not come to it."""
        try:
            self.kubectl("wait", f"mrj/{self.name}", f"--for=condition={condition}", f"--timeout={seconds}s")
        except Exception as error:
            raise AssertionError(f"{error}\n{self.kubectl('describe', 'mrj', self.name)}") from error
        return self.get()

    def until(self, happened: str, seconds: float = 60) -> None:
        """Wait for a condition as `kubectl wait --for` has it: `jsonpath={.status.phase}=DEPLOYED`."""
        self.kubectl("wait", f"mrj/{self.name}", f"--for={happened}", f"--timeout={seconds}s")

    def results(self) -> list[str]:
        """The addresses of its results."""
        return list(self.get()["status"]["results"])

    def words(self) -> Counter[bytes]:
        """What word count's results say, all together; each word is in one of them."""
        found: Counter[bytes] = Counter()
        for address in self.results():
            for line in self.read(address).splitlines():
                word, count = line.split(b"\t")
                assert word not in found, f"{word!r} is in two results"
                found[word] = int(count)
        return found

    def read(self, address: str) -> bytes:
        """What lies at `s3://…`."""
        bucket, _, key = address.removeprefix("s3://").partition("/")
        answer = self.kubemr.store.get_object(bucket, key)
        try:
            return answer.read()
        finally:
            answer.close()
            answer.release_conn()

    def left(self) -> list[str]:
        """What there is of it, in any namespace and in the bucket.  Its uid or its children's base is in all of it."""
        objects = mentioning(inventory(self.kubemr.cluster), self.view.uid, self.view.base)
        keys = stored(self.kubemr.store, self.kubemr.bucket)
        return objects + [key for key in keys if f"/{self.view.storage_prefix}" in f"/{key}"]

    def delete(self, seconds: float = 60) -> None:
        """Delete it, and see that nothing of it is left."""
        self.kubectl("delete", "mrj", self.name, "--ignore-not-found", f"--timeout={seconds}s")
        self.gone()

    def gone(self, seconds: float = 60) -> None:
        """Wait until nothing of it is left."""
        until_nothing(self.left, seconds)


def word_count(name: str, image: str, inputs: list[str], **spec: Any) -> Any:
    """A word count as its user would write it, for an image that is on the node and in no registry."""
    template = {"spec": {"containers": [{"name": "worker", "imagePullPolicy": "IfNotPresent"}]}}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {"image": image, "replicas": 2, "partitions": 4, "inputs": inputs, "template": template, **spec},
    }


def until(happened: Any, what: str, seconds: float) -> None:
    """Ask again and again, for what no watch tells."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.3)
