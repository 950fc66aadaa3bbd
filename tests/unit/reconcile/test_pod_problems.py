"""Why the pods do not start, on the job and as an Event; and a shard that was deleted."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.workers.pod_problems import UNREADY_SECONDS, diagnose_pods
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import KUBERNETES_JOBS, PODS
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json
from support.bench import NAMESPACE, Bench, asks


def waiting(reason: str, message: str = "words") -> Json:
    """Return the status of a pod whose container cannot be started."""
    container = {"name": "worker", "image": "i:1", "state": {"waiting": {"reason": reason, "message": message}}}
    return {"phase": "Pending", "containerStatuses": [container]}


def unscheduled(reason: str, message: str = "0/1 nodes are available") -> Json:
    """Return the status of a pod without a node."""
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return {"phase": "Pending", "conditions": [condition]}


UNSCHEDULABLE: Json = unscheduled("Unschedulable")
FAILED: Json = {
    "phase": "Failed",
    "containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": 2, "message": "no module x\n"}}}],
}
RUNNING: Json = {"phase": "Running", "containerStatuses": [{"name": "worker", "state": {"running": {}}}]}


def pod(bench: Bench, job: JobView, status: Json, name: str = "p") -> Target:
    """Create a pod of the job in some state."""
    metadata = {"name": name, "labels": names.labels(job.uid, job.run)}
    bench.create(PODS, {"metadata": metadata, "spec": {"containers": [{"name": "worker", "image": "i:1"}]}})
    target = Target(PODS, NAMESPACE, name, "status")
    bench.set(target, "/status", status)
    return target


def error(bench: Bench) -> str | None:
    """`status.error`."""
    found: str | None = bench.job().document["status"].get("error")
    return found


def deployed(bench: Bench) -> tuple[str, str]:
    """Status and reason of the condition `Deployed`."""
    (found,) = [each for each in bench.job().document["status"]["conditions"] if each["type"] == "Deployed"]
    return found["status"], found["reason"]


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (waiting("ErrImagePull"), "ImagePullBackOff", "1 of 1 pods: image 'i:1': words"),
        (waiting("ImagePullBackOff"), "ImagePullBackOff", "1 of 1 pods: image 'i:1': words"),
        (waiting("CreateContainerConfigError"), "CreateContainerConfigError", "1 of 1 pods: container 'worker': words"),
        (UNSCHEDULABLE, "Unschedulable", "1 of 1 pods: 0/1 nodes are available"),
        (unscheduled("SchedulingGated"), "SchedulingGated", "1 of 1 pods: 0/1 nodes are available"),
        (unscheduled("QuotaOfTheTeam"), "Unschedulable", "1 of 1 pods: 0/1 nodes are available"),
        (unscheduled("QuotaOfTheTeam", ""), "Unschedulable", "1 of 1 pods: QuotaOfTheTeam"),
        (unscheduled("", ""), "Unschedulable", "1 of 1 pods: cannot be scheduled"),
        (FAILED, "PodsFailing", "1 of 1 pods have failed and none runs, the last one: pod p: no module x"),
    ],
)
def test_what_kubernetes_says_is_passed_on(
    bench: Bench, operator: ReconcileContext, status: Json, reason: str, message: str
) -> None:
    """At the next look: once as an Event, and as long as it lasts on the job.  It goes when a pod runs."""
    job = bench.deployed(operator)
    target = pod(bench, job, status)
    for _ in range(4):
        bench.step(operator)
        bench.now += 3.0
    assert error(bench) == message
    assert deployed(bench) == ("True", reason)
    assert [each for each in bench.events() if each[0] == reason] == [(reason, message)]
    bench.set(target, "/status", RUNNING)
    bench.now += 5.0
    bench.step(operator)
    assert (error(bench), deployed(bench)) == (None, ("True", "Deployed"))
    assert bench.events()[-1][0] == "Unblocked"


def test_one_pod_that_runs_is_enough(bench: Bench, operator: ReconcileContext) -> None:
    """The job makes progress."""
    job = bench.deployed(operator)
    pod(bench, job, UNSCHEDULABLE)
    pod(bench, job, RUNNING, "q")
    bench.step(operator)
    assert error(bench) is None


def test_pods_that_are_starting_are_no_trouble() -> None:
    """Nothing is said of them yet."""
    assert (
        diagnose_pods([{"metadata": {"name": "p"}, "status": {"phase": "Pending"}}, {"metadata": {"name": "q"}}])
        is None
    )


def test_no_pods_at_all(bench: Bench, operator: ReconcileContext) -> None:
    """A quota, a policy: the Kubernetes Job knows more."""
    job = bench.deployed(operator)
    bench.step(operator)
    assert error(bench) is None
    bench.now += UNREADY_SECONDS
    bench.step(operator)
    assert error(bench) == f"Kubernetes has created no pods yet; kubectl describe job {job.base}-workers shows why"
    assert deployed(bench) == ("True", "NoPodsCreated")


def test_pods_that_are_ready_are_not_listed(bench: Bench, operator: ReconcileContext) -> None:
    """The Kubernetes Job shows it."""
    job = bench.deployed(operator)
    workers = Target(KUBERNETES_JOBS, NAMESPACE, names.workers(job.base, 0), "status")
    bench.set(workers, "/status", {"ready": 1})
    bench.requests.clear()
    bench.step(operator)
    assert not [each for each in bench.requests if asks("list", "pods")(each)]


def test_what_held_the_job_up_is_gone_when_it_is_complete(bench: Bench, operator: ReconcileContext) -> None:
    """The patch that completes the job removes it."""
    job = bench.deployed(operator)
    pod(bench, job, UNSCHEDULABLE)
    bench.step(operator)
    assert error(bench)
    for position in range(2):
        bench.write_tasks(job, {0: "empty/1/0/0/w0-aaaaaa", 1: "empty/1/0/0/w0-aaaaaa"}, position)
        bench.step(operator)
    assert (bench.job().phase, error(bench)) == ("COMPLETE", None)
    bench.step(operator)
    bench.step(bench.operator("op-b"))
    assert [each for each in bench.events() if each[0] == "Complete"] == [("Complete", "0 results")]


def test_a_shard_that_was_deleted_fails_the_job(bench: Bench, operator: ReconcileContext) -> None:
    """It is named; a cache that merely lags does not."""
    job = bench.deployed(operator)
    bench.delete(bench.shard(job, 1).target)
    bench.step(operator)
    assert bench.job().phase == "FAIL"
    assert error(bench) == (
        f"the shard {job.base}-0-reduce-0 was deleted, and with it the states of its tasks; create the job again"
    )
    bench.step(operator)
    assert bench.events()[-1] == ("Failed", error(bench))


def test_shards_that_are_missing_are_told_by_one_list(
    bench: Bench, operator: ReconcileContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the pages of one that has expired showed does not count."""
    monkeypatch.setattr("kubemr.controller.reconcile.shards.missing.LARGE_SHARDS_A_PAGE", 1)
    job = bench.deployed(operator, inputs=["x"] * 100, partitions=0)
    bench.delete(bench.shard(job, 0, 2).target)

    def expire() -> None:
        bench.delete(bench.shard(job).target)
        bench.server.compact()

    bench.meanwhile(lambda request: "continue" in request.query, expire)
    bench.step(operator)
    assert f"the shard {job.base}-0-map-0 and 1 more was deleted" in (error(bench) or "")


def test_pods_of_workers_that_have_left_do_not_hide_that_all_others_fail() -> None:
    """They succeeded, and are not what the job waits for."""
    left = {"metadata": {"name": "left"}, "status": {"phase": "Succeeded"}}
    failed = {"metadata": {"name": "p"}, "status": FAILED}
    assert diagnose_pods([left, failed]) == (
        "PodsFailing",
        "1 of 2 pods have failed and none runs, the last one: pod p: no module x",
    )
    assert diagnose_pods([left]) is None
