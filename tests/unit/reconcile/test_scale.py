"""`replicas` and `suspend` while the job runs: the Kubernetes Job follows, and others' suspension is respected."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.objects.builders import SUSPENDED_BY_US
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import KUBERNETES_JOBS
from kubemr.locks import RequestRefusedError
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json
from kubemr.locks.lease import LEASES
from support.bench import DENIED, NAMESPACE, Bench, LiveCache, asks, patches


def workers(bench: Bench, job: JobView, generation: int = 0) -> Target:
    """Return the Kubernetes Job."""
    return Target(KUBERNETES_JOBS, NAMESPACE, names.workers(job.base, generation))


def condition(bench: Bench) -> tuple[str, str] | None:
    """Status and reason of `Suspended`."""
    found = [each for each in bench.job().document["status"]["conditions"] if each["type"] == "Suspended"]
    return (found[0]["status"], found[0]["reason"]) if found else None


def leases(bench: Bench) -> int:
    """How many workers have a Lease."""
    return len(bench.objects(LEASES, namespace=NAMESPACE))


@pytest.mark.parametrize(("replicas", "kept"), [(5, 5), (1, 2)])
def test_more_or_fewer_workers(bench: Bench, operator: ReconcileContext, replicas: int, kept: int) -> None:
    """Leases first, then completions and parallelism in one patch; a worker that has to go leaves its Lease behind."""
    job = bench.deployed(operator)
    bench.set(job.target, "/spec/replicas", replicas)
    seen: list[int] = []
    bench.meanwhile(patches("jobs"), lambda: seen.append(leases(bench)))
    bench.step(operator)
    assert seen == [kept]
    spec = bench.get(workers(bench, job))["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (replicas, replicas, 6 * replicas)
    assert bench.events()[-1] == ("Scaled", f"from 2 to {replicas} workers")
    bench.step(operator)
    assert bench.job().document["status"]["replicas"] == replicas
    bench.requests.clear()
    bench.step(operator)
    assert not [each for each in bench.requests if each.verb == "patch"]


def test_a_look_that_is_out_of_date_changes_nothing(bench: Bench, operator: ReconcileContext) -> None:
    """Another client has changed it since."""
    job = bench.deployed(operator)
    bench.set(job.target, "/spec/replicas", 5)
    cache = operator.cache
    assert isinstance(cache, LiveCache)
    cache.revision = bench.server.revision
    for path in ("/spec/completions", "/spec/parallelism"):
        bench.set(workers(bench, job), path, 7)
    bench.step(operator)
    assert bench.get(workers(bench, job))["spec"]["completions"] == 7


def test_a_change_that_is_refused_is_an_error(bench: Bench, operator: ReconcileContext) -> None:
    """It names the object."""
    job = bench.deployed(operator)
    bench.set(job.target, "/spec/replicas", 5)
    bench.answer(patches("jobs"), DENIED)
    with pytest.raises(RequestRefusedError, match=f"changing jobs default/{job.base}-workers"):
        bench.step(operator)


def test_a_later_generation_has_all_its_leases(bench: Bench, operator: ReconcileContext) -> None:
    """The number was changed while the Kubernetes Job had already ended."""
    job = bench.deployed(operator)
    bench.hold_lease(job, 0, "w0-aaaaaa")
    bench.set(job.target, "/spec/replicas", 4)
    failed = [{"type": "Failed", "status": "True", "message": "too many"}]
    bench.set(
        Target(KUBERNETES_JOBS, NAMESPACE, names.workers(job.base, 0), "status"), "/status", {"conditions": failed}
    )
    bench.step(operator)
    assert bench.get(workers(bench, job, 1))["spec"]["completions"] == 4
    assert leases(bench) == 4


def test_suspend_and_resume(bench: Bench, operator: ReconcileContext) -> None:
    """A condition reports it; the job's time begins again."""
    job = bench.deployed(operator, activeDeadlineSeconds=100)
    bench.set(job.target, "/spec/suspend", True)
    bench.step(operator)
    bench.step(operator)
    assert bench.get(workers(bench, job))["spec"]["suspend"] is True
    assert condition(bench) == ("True", "Suspended")
    assert bench.job().document["status"]["replicas"] == 0
    bench.now += 1000
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"
    bench.set(job.target, "/spec/suspend", False)
    for _ in range(4):
        bench.step(operator)
    assert bench.get(workers(bench, job))["spec"]["suspend"] is False
    assert SUSPENDED_BY_US not in bench.get(workers(bench, job))["metadata"].get("annotations", {})
    assert condition(bench) == ("False", "Resumed")
    assert (bench.job().phase, bench.job().document["status"]["startTime"]) == ("DEPLOYED", bench.now_string())
    assert [reason for reason, _ in bench.events()][-2:] == ["Suspended", "Resumed"]


def test_suspended_from_the_start(bench: Bench, operator: ReconcileContext) -> None:
    """All is deployed, without any pod."""
    job = bench.deployed(operator, suspend=True)
    assert bench.get(workers(bench, job))["spec"]["suspend"] is True
    bench.step(operator)
    assert condition(bench) == ("True", "Suspended")
    bench.set(job.target, "/spec/suspend", False)
    bench.step(operator)
    assert bench.get(workers(bench, job))["spec"]["suspend"] is False


def test_a_queue_suspends_the_kubernetes_job(bench: Bench, operator: ReconcileContext) -> None:
    """It is not ours to resume, and the job is neither late nor failed."""
    job = bench.deployed(operator, activeDeadlineSeconds=100)
    bench.set(workers(bench, job), "/spec/suspend", True)
    for _ in range(5):
        bench.now += 100
        bench.step(operator)
    assert condition(bench) == ("True", "SuspendedExternally")
    assert bench.get(workers(bench, job))["spec"]["suspend"] is True
    assert bench.job().phase == "DEPLOYED"
    bench.set(workers(bench, job), "/spec/suspend", False)
    bench.step(operator)
    bench.step(operator)
    assert (bench.job().phase, condition(bench)) == ("DEPLOYED", ("False", "Resumed"))


def test_labels_and_annotations_of_the_job(bench: Bench, operator: ReconcileContext) -> None:
    """They reach the Kubernetes Job and its pods; a queue's name only the Job, which is queued as a whole."""
    metadata: Json = {
        "name": "words",
        "labels": {"team": "search", "kueue.x-k8s.io/queue-name": "q", names.LABEL_RUN: "77"},
        "annotations": {"note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }
    spec = {"image": "i", "inputs": ["a"], "template": {"metadata": {"labels": {"team": "ads"}}}}
    bench.create(names.JOBS, {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": spec})
    for _ in range(3):
        bench.step(operator)
    made = bench.get(workers(bench, bench.job()))
    assert made["metadata"]["labels"].items() >= {"team": "search", "kueue.x-k8s.io/queue-name": "q"}.items()
    assert made["metadata"]["annotations"] == {"note": "x"}
    pod = made["spec"]["template"]["metadata"]
    assert (pod["labels"]["team"], pod["labels"][names.LABEL_RUN]) == ("ads", "1")
    assert "kueue.x-k8s.io/queue-name" not in pod["labels"]
    assert pod["annotations"] == {"note": "x"}
    assert bench.events()[-1][0] == "Deployed"
    assert not [each for each in bench.requests if asks("patch", "jobs")(each)]
