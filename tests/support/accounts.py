"""Jobs on a real apiserver as an operator deploys them, and their workers' real accounts and tokens."""

from __future__ import annotations

import copy
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from kubemr.controller.reconcile.objects import builders, rbac
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView, shard_size, shards_for
from kubemr.coordination.kinds import ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json, Resource
from kubemr.locks.lease import LEASES
from kubemr.tasks import encoding
from kubemr.tasks.shard import SHARDS, TASKS_PATH
from support.audit import Right, granted
from support.controlplane import ApiServer, Reply

MANIFESTS = Path(__file__).parents[2] / "manifests"
PODS = Resource("", "v1", "pods")
PATIENCE = 30.0
CONFINED: TypeAlias = set[tuple[Right, tuple[str, ...]]]
"""Rights, each with the names that it is confined to; none where it is not."""
EVERYBODYS = {
    ("create", "selfsubjectaccessreviews.authorization.k8s.io"),
    ("create", "selfsubjectrulesreviews.authorization.k8s.io"),
    ("create", "selfsubjectreviews.authentication.k8s.io"),
    *((verb, "clustertrustbundles.certificates.k8s.io") for verb in ("get", "list", "watch")),  # from 1.37 on
}
"""What Kubernetes lets every account ask about itself, and read."""


def rendered(kubectl: Path, overlay: str = "base") -> str:
    """What kustomize makes of a folder of manifests."""
    command = [str(kubectl), "kustomize", str(MANIFESTS / overlay)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def install(apiserver: ApiServer, kubectl: Path, overlay: str = "base") -> None:
    """Apply a folder of manifests, and wait until its resources are served and its policies are enforced."""
    command = [str(kubectl), f"--kubeconfig={apiserver.kubeconfig}", "apply", "--server-side", "--force-conflicts"]
    text = rendered(kubectl, overlay)
    done = subprocess.run([*command, "-f", "-"], check=False, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for resource in (names.JOBS, SHARDS):
        until(lambda resource=resource: apiserver.request("GET", resource.path()).status == 200)  # type: ignore[misc]  # mypy cannot infer a lambda with a default


def enforce(apiserver: ApiServer, kubectl: Path) -> None:
    """Apply `manifests/base`, and wait until each policy refuses what it has to."""
    install(apiserver, kubectl)
    probe = DeployedJob(apiserver, apiserver.create_namespace(), "probe", tasks=40)
    worker = probe.worker()
    leases, shard = probe.job.lease_of(0), probe.shard()

    def enforced() -> bool:
        (key,) = probe.set_together("pending/1/0/0/")
        probe.admin.patch(leases, {"op": "add", "path": "/spec/holderIdentity", "value": None})
        probe.admin.patch(probe.job.status, {"op": "replace", "path": "/status/run", "value": 1})
        jump = {"op": "replace", "path": f"{TASKS_PATH}/{key}", "value": "failed/1/0/0/"}
        stranger = {"op": "add", "path": "/spec/holderIdentity", "value": "w7-aaaaaa"}
        another = {"op": "replace", "path": "/status/run", "value": 2}
        asked = ((leases, stranger), (shard, jump), (probe.job.status, another))
        return all(worker.patch(target, change).status == 422 for target, change in asked)

    until(enforced)


def refused(reply: Reply, rule: str) -> str:
    """By policy, in words that name the rule; gives them."""
    assert reply.status == 422, reply.body
    message = str(reply.body["message"])
    assert f'rule "{rule}"' in message, message
    assert reply.body["details"]["causes"]
    return message


def until(happened: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Ask again and again, a little apart: what the apiserver's own caches show cannot be watched."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"it did not happen in {seconds} s"
        threading.Event().wait(0.05)


def confined(rules: list[Any]) -> CONFINED:
    """The rights that rules give, as a SelfSubjectRulesReview lists them, without those of everybody."""
    return {
        (right, tuple(rule.get("resourceNames") or ()))
        for rule in rules
        for right in granted([rule])
        if right not in EVERYBODYS
    }


def workers_rights(job: JobView) -> CONFINED:
    """All that a job's workers may do in its namespace; nothing in any other."""
    own, leases = (job.name,), tuple(job.lease_of(index).name for index in range(job.replicas))
    shards = "mapreducetaskshards.turbobytes.com"
    return {
        (("get", "mapreducejobs.turbobytes.com"), own),
        (("patch", "mapreducejobs.turbobytes.com/status"), own),
        *((((verb, shards), ())) for verb in ("get", "list", "watch", "patch")),
        *(((verb, "leases.coordination.k8s.io"), leases) for verb in ("get", "patch")),
    }


class Account:
    """The apiserver as somebody with another token sees it."""

    def __init__(self, apiserver: ApiServer, token: str) -> None:
        self.token = token
        self.apiserver = copy.copy(apiserver)
        self.apiserver.token = token

    def patch(self, target: Target, *operations: Json) -> Reply:
        """A JSON Patch, as workers send it."""
        path = target.resource.path(target.namespace, target.name, target.subresource)
        return self.apiserver.request("PATCH", f"{path}?fieldManager=kubemr", operations, "application/json-patch+json")

    def get(self, resource: Resource, namespace: str, name: str | None = None) -> Reply:
        """One object, or a list."""
        return self.apiserver.request("GET", resource.path(namespace, name))

    def create(self, resource: Resource, namespace: str, body: Json) -> Reply:
        """A new object."""
        return self.apiserver.request("POST", resource.path(namespace), body)


class DeployedJob:
    """A job that is DEPLOYED, with everything of its workers but the pods."""

    def __init__(self, apiserver: ApiServer, namespace: str, name: str, *, replicas: int = 2, tasks: int = 40) -> None:
        self.admin = Account(apiserver, apiserver.token)
        self._apiserver = apiserver
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name},
            "spec": {"image": "i", "inputs": ["a"] * tasks, "partitions": 3, "replicas": replicas},
        }
        created = self.admin.create(names.JOBS, namespace, body)
        assert created.status == 201, created.body
        status = {
            "phase": "DEPLOYED",
            "run": 1,
            "stage": "map",
            "lockholder": "op-abc123/1/1",
            "stages": [
                {"step": 0, "name": "map", "shards": shards_for(tasks, replicas), "total": tasks, "pending": tasks},
                {"step": 0, "name": "reduce", "shards": 1, "total": 3},
            ],
        }
        target = Target(names.JOBS, namespace, name, "status")
        reply = self.admin.patch(target, {"op": "add", "path": "/status", "value": status})
        assert reply.status == 200, reply.body
        self.job = JobView.of(reply.body)
        self._make(SERVICE_ACCOUNTS, rbac.service_account(self.job))
        self._make(ROLES, rbac.role(self.job, replicas))
        self._make(ROLE_BINDINGS, rbac.role_binding(self.job))
        for index in range(replicas):
            self._make(LEASES, builders.lease(self.job, index, 15.0))
        for position, stage in enumerate(self.job.stages):
            for shard in builders.shards(self.job, stage, open_=position == 0):
                self._make(SHARDS, shard)

    def _make(self, resource: Resource, body: Json) -> Json:
        reply = self.admin.create(resource, self.job.namespace, body)
        assert reply.status == 201, reply.body
        return reply.body

    def shard(self, number: int = 0, position: int = 0) -> Target:
        """One of its shards."""
        return Target(SHARDS, self.job.namespace, self.job.shard_name(self.job.stages[position], number))

    def set_tasks(self, states: Mapping[int, str], number: int = 0) -> None:
        """Those of a shard, as an administrator, who is not bound by the state machine: each has an entry then."""
        shard = self.shard(number)
        before = self.admin.get(SHARDS, self.job.namespace, shard.name).body["tasks"]
        self._put(shard, encoding.expand({**encoding.texts(before), **states}))

    def set_task(self, task: int, state: str) -> None:
        """As an administrator."""
        stage = self.job.stages[0]
        self.set_tasks({task: state}, task // shard_size(stage.total, stage.shards))

    def set_together(self, state: str, number: int = 0) -> dict[str, str]:
        """All tasks of a shard, as an administrator; gives the one entry that tells of them."""
        shard = self.shard(number)
        before = self.admin.get(SHARDS, self.job.namespace, shard.name).body["tasks"]
        together = encoding.collapse(dict.fromkeys(encoding.texts(before), state))
        self._put(shard, together)
        return together

    def _put(self, shard: Target, tasks: Mapping[str, str]) -> None:
        reply = self.admin.patch(shard, {"op": "replace", "path": TASKS_PATH, "value": tasks})
        assert reply.status == 200, reply.body

    def worker(self, index: int | None = None) -> Account:
        """Its workers' account, by a token that is bound to the pod of worker `index`, or to none."""
        name = names.account(self.job.base)
        request: dict[str, Any] = {"spec": {"expirationSeconds": 3600}}
        if index is not None:
            pod = self._make(
                PODS,
                {
                    "metadata": {"name": f"{names.workers(self.job.base, 0)}-{index}-abcde"},
                    "spec": {"serviceAccountName": name, "containers": [{"name": "worker", "image": "i"}]},
                },
            )
            reference = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"]}
            request["spec"]["boundObjectRef"] = {**reference, "uid": pod["metadata"]["uid"]}
        return Account(self._apiserver, token_of(self._apiserver, self.job.namespace, name, request))


def token_of(apiserver: ApiServer, namespace: str, account: str, request: Json = None) -> str:
    """A token that the apiserver issues for a service account."""
    path = f"{SERVICE_ACCOUNTS.path(namespace, account)}/token"
    reply = apiserver.request("POST", path, request or {"spec": {"expirationSeconds": 3600}})
    assert reply.status == 201, reply.body
    return str(reply.body["status"]["token"])
