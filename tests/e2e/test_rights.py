"""Workers' real accounts on a real apiserver: what they may change, and in what words the rest is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kubemr.controller.reconcile.context import StorageSettings
from kubemr.controller.reconcile.objects import builders
from kubemr.coordination import names
from kubemr.coordination.kinds import RBAC_GROUP, ROLE_BINDINGS, ROLES
from kubemr.locks import run
from kubemr.locks.conditional import PatchStatus, apply
from kubemr.locks.config import Server
from kubemr.locks.effects import Json, Resource
from kubemr.locks.http import HttpTransport
from kubemr.locks.patch import Patch
from support.accounts import (
    CONFINED,
    Account,
    DeployedJob,
    confined,
    enforce,
    refused,
    rendered,
    token_of,
    until,
    workers_rights,
)
from support.audit import granted
from support.controlplane import ApiServer, Reply
from support.taskchanges import ME, OTHER, swap
from support.workerharness import ROOT

CONFIG_MAPS = Resource("", "v1", "configmaps")
SECRETS = Resource("", "v1", "secrets")
PODS = Resource("", "v1", "pods")
REVIEW = Resource("authorization.k8s.io", "v1", "selfsubjectrulesreviews", namespaced=False)


@pytest.fixture(scope="module")
def installed(apiserver: ApiServer, kubectl: Path) -> ApiServer:
    """With the CRDs, the rights and the policies of `manifests/base`."""
    enforce(apiserver, kubectl)
    return apiserver


@pytest.fixture(scope="module")
def job(installed: ApiServer) -> DeployedJob:
    """A deployed job."""
    return DeployedJob(installed, installed.create_namespace(), "words")


@pytest.fixture(scope="module")
def worker(job: DeployedJob) -> Account:
    """Its worker 0, whose token is its pod's."""
    return job.worker(0)


@pytest.fixture(scope="module")
def neighbour(installed: ApiServer, job: DeployedJob) -> DeployedJob:
    """Another job in the same namespace."""
    return DeployedJob(installed, job.job.namespace, "other.words")


def forbidden(reply: Reply) -> None:
    """By RBAC."""
    assert (reply.status, reply.body["reason"]) == (403, "Forbidden"), reply.body


def test_of_a_shard_only_tasks_and_the_hint_change(job: DeployedJob, worker: Account) -> None:
    """Neither another label, nor the owner, nor the numbers of the tasks."""
    shard = job.shard(1)
    label = "/metadata/labels/kubemr.turbobytes.com~1"
    assert worker.patch(shard, {"op": "add", "path": f"{label}tasks", "value": "drained"}).status == 200
    refused(worker.patch(shard, {"op": "add", "path": f"{label}tasks", "value": "maybe"}), "metadata")
    refused(worker.patch(shard, {"op": "remove", "path": f"{label}tasks"}), "metadata")
    refused(worker.patch(shard, {"op": "add", "path": f"{label}run", "value": "2"}), "metadata")
    refused(worker.patch(shard, {"op": "add", "path": "/metadata/labels/x", "value": "y"}), "metadata")
    refused(worker.patch(shard, {"op": "add", "path": "/metadata/annotations", "value": {"x": "y"}}), "metadata")
    refused(worker.patch(shard, {"op": "add", "path": "/metadata/finalizers", "value": ["a.b/c"]}), "metadata")
    refused(worker.patch(shard, {"op": "remove", "path": "/metadata/ownerReferences"}), "metadata")
    refused(worker.patch(shard, {"op": "add", "path": "/tasks/99", "value": "pending/1/0/0/"}), "task numbers")
    job.set_task(33, "pending/1/0/0/")
    refused(worker.patch(shard, {"op": "remove", "path": "/tasks/33"}), "task numbers")
    refused(worker.patch(shard, {"op": "add", "path": "/tasks/99", "value": "pending/1/0/0/"}), "task numbers")


def test_another_jobs_objects(job: DeployedJob, neighbour: DeployedJob, worker: Account) -> None:
    """Its shards by policy (they can be read), all else by RBAC."""
    shard = neighbour.shard()
    assert worker.get(shard.resource, shard.namespace or "", shard.name).status == 200
    refused(worker.patch(shard, *swap("0-31", "pending/1/0/0/", f"running/1/0/0/{ME}")), "own job")
    forbidden(worker.patch(neighbour.job.lease_of(0), {"op": "add", "path": "/spec/holderIdentity", "value": ME}))
    forbidden(worker.patch(neighbour.job.status, {"op": "replace", "path": "/status/phase", "value": "FAIL"}))
    forbidden(worker.get(names.JOBS, job.job.namespace, neighbour.job.name))
    forbidden(worker.get(neighbour.job.lease_of(0).resource, job.job.namespace, neighbour.job.lease_of(0).name))


def test_what_is_not_the_workers_at_all(job: DeployedJob, worker: Account, installed: ApiServer) -> None:
    """Nothing is created, listed or deleted but shards are listed; no secret is read; the spec of the job stays."""
    namespace = job.job.namespace
    for resource in (SECRETS, PODS, CONFIG_MAPS, names.JOBS, job.job.lease_of(0).resource):
        forbidden(worker.get(resource, namespace))
    job.admin.create(SECRETS, namespace, {"metadata": {"name": "keys"}, "stringData": {"a": "b"}})
    forbidden(worker.get(SECRETS, namespace, "keys"))
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    forbidden(worker.create(PODS, namespace, pod))
    forbidden(worker.create(job.shard().resource, namespace, {"metadata": {"name": f"{job.job.base}-0-map-7"}}))
    forbidden(worker.create(job.job.lease_of(0).resource, namespace, {"metadata": {"name": "l"}}))
    forbidden(worker.patch(job.job.target, {"op": "add", "path": "/spec/replicas", "value": 99}))
    for target in (job.shard(), job.job.lease_of(0), job.job.target):
        path = target.resource.path(target.namespace, target.name)
        forbidden(worker.apiserver.request("DELETE", path))
    assert worker.get(job.shard().resource, namespace).status == 200
    forbidden(worker.get(job.shard().resource, installed.create_namespace()))


def test_leases(job: DeployedJob, worker: Account) -> None:
    """A worker takes, renews and releases its own, by its own name, and changes nothing else of it."""
    lease = job.job.lease_of(0)
    taken = [
        {"op": "add", "path": "/spec/holderIdentity", "value": ME},
        {"op": "add", "path": "/spec/acquireTime", "value": "2026-01-01T00:00:00.000000Z"},
        {"op": "add", "path": "/spec/renewTime", "value": "2026-01-01T00:00:00.000000Z"},
        {"op": "add", "path": "/spec/leaseTransitions", "value": 1},
    ]
    assert worker.patch(lease, *taken).status == 200
    renewed = {"op": "add", "path": "/spec/renewTime", "value": "2026-01-01T00:00:05.000000Z"}
    assert worker.patch(lease, renewed).status == 200
    refused(worker.patch(lease, {"op": "add", "path": "/spec/holderIdentity", "value": OTHER}), "holder")
    refused(worker.patch(lease, {"op": "add", "path": "/spec/holderIdentity", "value": "w0-short"}), "holder")
    refused(worker.patch(lease, {"op": "add", "path": "/spec/leaseDurationSeconds", "value": 9999}), "spec")
    refused(worker.patch(lease, {"op": "remove", "path": "/metadata/labels"}), "spec")
    refused(worker.patch(lease, {"op": "add", "path": "/spec/leaseTransitions", "value": 0}), "transitions")
    assert worker.patch(lease, {"op": "remove", "path": "/spec/holderIdentity"}).status == 200
    others = {"op": "add", "path": "/spec/holderIdentity", "value": OTHER}
    refused(worker.patch(job.job.lease_of(1), others), "own Lease")
    assert job.worker().patch(job.job.lease_of(1), others).status == 200  # whose token does not tell which worker it is


def test_the_status(installed: ApiServer) -> None:
    """Stages may move on and the job may end, while it is DEPLOYED; what is the operator's stays."""
    job = DeployedJob(installed, installed.create_namespace(), "a-name.of-more-than.forty-characters-as-it-is")
    worker, status = job.worker(1), job.job.status

    def put(path: str, value: Json) -> Json:
        return {"op": "add", "path": f"/status/{path}", "value": value}

    condition = {"type": "Complete", "status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    assert (
        worker.patch(status, put("stage", "reduce"), put("stages/0/completionTime", "2026-01-01T00:00:00Z")).status
        == 200
    )
    plan = {"plan": "mine", "tasks": 1, "tasksPerChunk": 1}
    fields = (("run", 2), ("lockholder", "me/1/1"), ("replicas", 5), ("observedGeneration", 9), ("inputs", plan))
    for field, value in fields:
        refused(worker.patch(status, put(field, value)), "operator's fields")
    refused(worker.patch(status, put("phase", "PENDING")), "phase")
    refused(worker.patch(status, put("stage", "sort")), "stage")
    refused(worker.patch(status, put("stages/0/total", 1)), "stages")
    refused(worker.patch(status, put("conditions", [{**condition, "type": "Valid"}])), "conditions")
    refused(worker.patch(status, put("results", ["x"])), "results")
    refused(worker.patch(status, put("error", "x")), "end")
    end = [put("phase", "COMPLETE"), put("results", ["x"]), put("resultCount", 1), put("conditions", [condition])]
    assert worker.patch(status, *end, put("progress", "43/43")).status == 200
    refused(worker.patch(status, put("phase", "DEPLOYED")), "phase")
    refused(worker.patch(status, put("results", ["y"])), "phase")


def test_an_account_that_the_job_chose(installed: ApiServer) -> None:
    """It may do no more than legal changes either: the state machine binds every service account."""
    job = DeployedJob(installed, installed.create_namespace(), "words")
    namespace, role = job.job.namespace, names.account(job.job.base)
    chosen = Resource("", "v1", "serviceaccounts")
    assert job.admin.create(chosen, namespace, {"metadata": {"name": "mine"}}).status == 201
    binding = {
        "metadata": {"name": "mine"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "mine", "namespace": namespace}],
    }
    bindings = Resource("rbac.authorization.k8s.io", "v1", "rolebindings")
    assert job.admin.create(bindings, namespace, binding).status == 201
    worker = Account(installed, token_of(installed, namespace, "mine"))
    until(lambda: worker.get(names.JOBS, namespace, job.job.name).status == 200)
    assert worker.patch(job.shard(), *swap("0-31", "pending/1/0/0/", f"running/1/0/0/{ME}")).status == 200
    refused(worker.patch(job.shard(), *swap("0-31", f"running/1/0/0/{ME}", "failed/1/0/0/")), "fail")
    refused(worker.patch(job.job.status, {"op": "add", "path": "/status/run", "value": 2}), "operator's fields")
    refused(worker.patch(job.job.lease_of(0), {"op": "add", "path": "/spec/holderIdentity", "value": OTHER}), "holder")


def test_a_refusal_by_policy_is_no_race(installed: ApiServer, job: DeployedJob, worker: Account) -> None:
    """`apply` says REFUSED at once, with the server's words: a worker ends by it, and does not try again for ever."""
    job.set_task(5, "pending/1/0/0/")
    server = Server(installed.url, token=worker.token, ca_file=installed.ca_file)
    patch = Patch().swap("/tasks/5", "pending/1/0/0/", "failed/1/1/0/")
    with HttpTransport(server) as transport:
        outcome = run(apply(job.shard(), patch, lambda seen: False), transport)
    assert outcome.status is PatchStatus.REFUSED
    assert 'rule "claim"' in outcome.answer.message


def can(account: Account, namespace: str) -> CONFINED:
    """All rights of an account in a namespace, each with the names that it is confined to."""
    reply = account.apiserver.request("POST", REVIEW.path(), {"spec": {"namespace": namespace}})
    assert not reply.body["status"]["incomplete"], reply.body
    return confined(reply.body["status"]["resourceRules"])


def test_what_a_worker_can_is_exact(job: DeployedJob, worker: Account, installed: ApiServer) -> None:
    """As `kubectl auth can-i --list` has it: these rights, by these names, in this namespace and in no other."""
    assert can(worker, job.job.namespace) == workers_rights(job.job)
    assert can(worker, installed.create_namespace()) == set()
    assert can(worker, "kubemr") == set()


def test_what_an_operator_can_is_exact(installed: ApiServer, kubectl: Path) -> None:
    """What the manifests say, in any namespace; a ConfigMap of its own may be patched beside it."""
    operator = Account(installed, token_of(installed, "kubemr", "kubemr-operator"))
    documents = list(yaml.safe_load_all(rendered(kubectl)))
    (everywhere,) = [granted(each["rules"]) for each in documents if each["kind"] == "ClusterRole"]
    assert can(operator, installed.create_namespace()) == {(right, ()) for right in everywhere}
    assert can(operator, "kubemr") == {
        *((right, ()) for right in everywhere),
        (("patch", "configmaps"), ("kubemr-unswept",)),
    }


def test_an_operator_grants_no_more_than_it_has(installed: ApiServer, job: DeployedJob) -> None:
    """A Role for anything else is refused by the apiserver: there is no `escalate` and no `bind`."""
    operator = Account(installed, token_of(installed, "kubemr", "kubemr-operator"))
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}
    role = {"metadata": {"name": "more"}, "rules": [rule]}
    forbidden(operator.create(ROLES, job.job.namespace, role))
    binding = {
        "metadata": {"name": "more"},
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": job.job.namespace}],
    }
    forbidden(operator.create(ROLE_BINDINGS, job.job.namespace, binding))


def test_a_worker_that_is_refused_ends_and_says_why(installed: ApiServer, tmp_path: Path) -> None:
    """Worker 1 that takes itself for worker 0: exit code 1, and the rule in its log."""
    job = DeployedJob(installed, installed.create_namespace(), "words")
    program = tmp_path / "worker.py"
    program.write_text("import kubemr\nif __name__ == '__main__':\n    kubemr.serve(kubemr.JobWorker())\n")
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KUBEMR_")},
        **builders.config_map(job.job, StorageSettings({"KUBEMR_STORAGE_URL": tmp_path.as_uri()}, {}), 15.0)["data"],
        "KUBEMR_APISERVER": installed.url,
        "KUBEMR_APISERVER_CA": str(installed.ca_file),
        "KUBEMR_APISERVER_TOKEN": job.worker(1).token,
        "KUBEMR_WORKER_INDEX": "0",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run([sys.executable, str(program)], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stderr.splitlines()[-1])
    assert said["event"] == "worker_failed"
    assert 'rule "own Lease"' in said["error"]
    assert "Traceback" not in done.stderr
