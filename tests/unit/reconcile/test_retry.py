"""`restarts` raised on a job that FAILed: another run, in which only what was not committed runs again."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.phases.cleanup import SETTLE_SECONDS
from kubemr.controller.reconcile.reconciler import reconcile
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import KUBERNETES_JOBS, PODS
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json, Request
from kubemr.locks.lease import LEASES
from kubemr.tasks.shard import SHARDS
from kubemr.worker.scheduling.identity import ExitReason
from support.bench import NAMESPACE, Bench, asks
from support.planned import worker_of

A = "w0-aaaaaa"


def failed(bench: Bench, operator: ReconcileContext, **spec: Json) -> JobView:
    """Create a job of three inputs that failed when one was done and one was running."""
    job = bench.deployed(operator, inputs=list("abc"), maxAttempts=2, **spec)
    bench.hold_lease(job, 0, A)
    bench.store.put(f"{job.storage_prefix}0/map/0/1-{A}/outputs.json", b"{}")
    bench.write_tasks(job, {0: f"done/1/0/0/{A}", 1: "failed/2/2/0/", 2: f"running/3/1/0/{A}"})
    bench.step(operator)
    assert bench.job().phase == "FAIL"
    return bench.job()


def runs(bench: Bench, job: JobView) -> set[str]:
    """Return the runs that have shards."""
    return {item["metadata"]["labels"][names.LABEL_RUN] for item in bench.objects(SHARDS)}


def test_what_was_committed_is_not_done_again(bench: Bench, operator: ReconcileContext) -> None:
    """The rest is pending in a new epoch, without failures."""
    job = failed(bench, operator)
    bench.step(operator)
    assert (runs(bench, job), bench.objects(KUBERNETES_JOBS)) == ({"1"}, [])
    bench.set(job.target, "/spec/restarts", 1)
    for _ in range(4):
        bench.step(operator)
    again = bench.job()
    status = again.document["status"]
    assert (again.phase, again.run, status["observedRestarts"]) == ("DEPLOYED", 2, 1)
    assert "error" not in status
    assert "completionTime" not in status
    states = [str(state) for state in bench.shard(again).tasks.values()]
    assert states == [f"done/1/0/0/{A}", "pending/3/0/0/", "pending/4/0/0/"]
    assert [str(state) for state in bench.shard(again, 1).tasks.values()] == ["pending/2/0/0/"] * 2
    assert bench.store.objects
    bench.step(operator)
    assert status["run"] == 2
    bench.write_tasks(again, {1: f"empty/3/0/0/{A}", 2: f"empty/4/0/0/{A}"})
    bench.store.put(f"{job.storage_prefix}0/reduce/0/2-{A}/outputs.json", b"{}")
    bench.step(operator)
    bench.write_tasks(again, {0: f"empty/2/0/0/{A}", 1: f"empty/2/0/0/{A}"}, 1)
    bench.step(operator)
    assert bench.job().phase == "COMPLETE"
    bench.step(operator)
    assert bench.everything() == {}


def test_what_was_committed_is_found_on_every_page(
    bench: Bench, operator: ReconcileContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when their list expires in the middle and is begun again."""
    monkeypatch.setattr("kubemr.controller.reconcile.shards.previous_run.LARGE_SHARDS_A_PAGE", 1)
    job = bench.deployed(operator, inputs=["x"] * 70, maxAttempts=1, partitions=0)
    bench.write_tasks(job, {2: "failed/1/1/0/"})
    for number, task in enumerate((3, 40, 69)):
        bench.write_tasks(job, {task: f"done/1/0/0/{A}"}, 0, number)
    bench.step(operator)
    bench.step(operator)
    bench.set(job.target, "/spec/restarts", 1)
    expired: list[bool] = []

    def second_page(request: Request) -> bool:
        return "continue" in request.query and request.resource == SHARDS and bench.job().phase == "DEPLOYING"

    def expire() -> None:
        bench.server.compact()
        expired.append(True)

    bench.meanwhile(second_page, expire)
    for _ in range(4):
        bench.step(operator)
    assert expired
    again = bench.job()
    assert (again.phase, again.run) == ("DEPLOYED", 2)
    for number, task in enumerate((3, 40, 69)):
        tasks = bench.shard(again, 0, number).tasks
        assert [key for key, state in tasks.items() if state.name == "done"] == [task]
        assert str(tasks[task]) == f"done/1/0/0/{A}"
    assert str(bench.shard(again).tasks[2]) == "pending/2/0/0/"


def test_the_cause_of_a_later_run_is_its_own(bench: Bench, operator: ReconcileContext) -> None:
    """The error of the run before is still in storage, and `status.error` does not show it."""
    job = bench.deployed(operator, inputs=["a"], partitions=0, replicas=1, maxAttempts=1)
    for run in (1, 2):
        worker, executor = worker_of(bench, bench.job(), entropy=run)
        executor.kind = lambda piece: "failed"
        executor.printed = lambda piece: b"printed"
        assert bench.run(worker.run()) is ExitReason.FAIL
        log = f"{job.storage_prefix}0/map/0/{run}-{worker.identity.token}/log.txt"
        error = bench.job().document["status"]["error"]
        assert error == f"map/0 failed once: ValueError: no\nlog: {bench.store.url(log)}"
        bench.set(job.target, "/spec/restarts", run)
        for _ in range(4):
            bench.step(operator)


def test_an_operator_that_still_sees_the_failed_run_does_not_touch_the_next(
    bench: Bench, operator: ReconcileContext
) -> None:
    """It removes what belongs to runs up to the one that it sees, and deletes no job that has changed."""
    job = failed(bench, operator, ttlSecondsAfterFinished=5)
    bench.set(job.target, "/spec/restarts", 1)
    for _ in range(4):
        bench.step(operator)
    before = {name for name in bench.everything() if bench.job().base in name}
    bench.now += 100
    bench.run(reconcile(job.document, bench.operator("op-b")))
    assert bench.job().phase == "DEPLOYED"
    assert {name for name in bench.everything() if bench.job().base in name} == before
    assert len(bench.objects(LEASES, namespace=NAMESPACE)) == 2


def test_a_crash_after_each_request_leads_to_the_same_run() -> None:
    """The next operator continues; there is one run more, not two."""
    for requests in range(1, 40):
        bench = Bench()
        operator = bench.operator()
        job = failed(bench, operator)
        bench.set(job.target, "/spec/restarts", 1)
        over = bench.crash_after(reconcile(bench.job().document, operator), requests)
        for _ in range(4):
            bench.step(operator)
        assert (bench.job().run, bench.job().phase) == (2, "DEPLOYED")
        if over:
            return
    raise AssertionError("a retry takes fewer requests")


@pytest.mark.parametrize("why", ["policy", "invalid"])
def test_a_job_that_cannot_be_retried_says_so_once(bench: Bench, operator: ReconcileContext, why: str) -> None:
    """Nothing is kept of it, or it would be refused again."""
    storage = {"storage": {"retentionPolicy": "None"}} if why == "policy" else {}
    job = failed(bench, operator, **storage)
    changes = [{"op": "add", "path": "/spec/restarts", "value": 3}]
    if why == "invalid":
        env = [{"name": "KUBEMR_RUN", "value": "x"}]
        template = {"spec": {"containers": [{"name": "worker", "env": env}]}}
        changes.append({"op": "add", "path": "/spec/template", "value": template})
    bench.patch(job.target, *changes)
    for _ in range(3):
        bench.step(operator)
    again = bench.job()
    assert (again.phase, again.run, again.document["status"]["observedRestarts"]) == ("FAIL", 1, 3)
    assert [reason for reason, _ in bench.events()].count("RetryRejected") == 1
    assert retried(bench)[:2] == ("False", "RetryRejected")


def retried(bench: Bench) -> tuple[str, str, str]:
    """Status, reason and message of the condition that says why there is no other run yet."""
    (found,) = (each for each in bench.job().document["status"]["conditions"] if each["type"] == "Retried")
    return found["status"], found["reason"], found["message"]


@pytest.mark.parametrize("position", [0, 1])
def test_a_deleted_shard_is_not_created_again(bench: Bench, operator: ReconcileContext, position: int) -> None:
    """The tasks of a deleted shard would run again, when others have read their first attempts."""
    job = bench.deployed(operator)
    shard = bench.shard(job, position).target
    bench.delete(shard)
    bench.step(operator)
    error = bench.job().document["status"]["error"]
    bench.set(job.target, "/spec/restarts", 1)
    for _ in range(3):
        bench.step(operator)
    again = bench.job()
    assert (again.phase, again.run, again.document["status"]["observedRestarts"]) == ("FAIL", 1, 1)
    assert again.document["status"]["error"] == error
    message = (
        f"spec.restarts: the shard {shard.name} was deleted, and with it the states of its tasks: "
        "there is nothing to continue from; create the job again"
    )
    assert retried(bench) == ("False", "RetryRejected", message)
    assert [each for each in bench.events() if each[0] == "RetryRejected"] == [("RetryRejected", message)]


def test_a_shard_that_is_deleted_while_the_next_run_is_made(bench: Bench, operator: ReconcileContext) -> None:
    """It fails permanently, before it has any pods."""
    job = failed(bench, operator)
    bench.set(job.target, "/spec/restarts", 1)
    bench.step(operator)
    assert (bench.job().phase, bench.job().run) == ("PENDING", 2)
    bench.delete(bench.shard(job, 1).target)
    for _ in range(3):
        bench.step(operator)
    error = bench.job().document["status"]["error"]
    assert error == (
        "the shard that held reduce/0 in run 1 was deleted, and with it the states of its tasks; create the job again"
    )
    assert bench.objects(KUBERNETES_JOBS) == []
    bench.set(job.target, "/spec/restarts", 2)
    for _ in range(3):
        bench.step(operator)
    assert (bench.job().phase, bench.job().run) == ("FAIL", 2)
    assert retried(bench)[1] == "RetryRejected"


def test_a_paused_operator_does_not_fail_a_job_of_another(bench: Bench, operator: ReconcileContext) -> None:
    """An operator that was paused before its check fails no job whose lock another operator has acquired."""
    job = failed(bench, operator)
    bench.set(job.target, "/spec/restarts", 1)
    for _ in range(2):
        bench.step(operator)
    assert bench.job().phase == "DEPLOYING"
    shard = bench.shard(job, 1).target
    lock = {"op": "add", "path": "/status/lockholder", "value": "op-b/99/0"}

    def meanwhile() -> None:
        bench.patch(job.status, lock)
        bench.delete(shard)

    bench.meanwhile(asks("list", SHARDS.plural), meanwhile)
    bench.step(operator)
    assert bench.job().phase == "DEPLOYING"


def test_where_all_is_lost_all_is_done_again(bench: Bench, operator: ReconcileContext) -> None:
    """No stage reads then what another run made."""
    job = failed(bench, operator)
    bench.set(job.target, "/spec/restarts", 1)
    bench.step(operator)
    for position in (0, 1):
        bench.delete(bench.shard(job, position).target)
    for _ in range(3):
        bench.step(operator)
    again = bench.job()
    assert again.phase == "DEPLOYED"
    states = {str(state) for position in (0, 1) for state in bench.shard(again, position).tasks.values()}
    assert states == {"pending/1/0/0/"}


def test_a_run_that_never_had_shards_leaves_none(bench: Bench, operator: ReconcileContext, tmp_path: Path) -> None:
    """It failed while it was deployed; the cause has been corrected since."""
    listed = tmp_path / "list"
    bench.submit(inputs=None, inputsFrom=[{"manifest": listed.as_uri()}])
    for _ in range(3):
        bench.step(operator)
    assert (bench.job().phase, bench.objects(SHARDS)) == ("FAIL", [])
    listed.write_text("s3://b/x\n")
    bench.set(bench.job().target, "/spec/restarts", 1)
    for _ in range(5):
        bench.step(operator)
    again = bench.job()
    assert (again.phase, again.run) == ("DEPLOYED", 2)
    assert [str(state) for state in bench.shard(again).tasks.values()] == ["pending/1/0/0/"]


def lingering(bench: Bench, job: JobView) -> Target:
    """Create a terminating pod on a lost node, which cannot confirm that the pod has ended."""
    metadata = {"name": "p", "labels": names.labels(job.uid, 1), "finalizers": ["example.com/node"]}
    bench.create(PODS, {"metadata": metadata, "spec": {"containers": [{"name": "w", "image": "i"}]}})
    target = Target(PODS, NAMESPACE, "p")
    bench.delete(target)
    return target


@pytest.mark.parametrize("tidied", [0, 30, 200])
def test_a_pod_that_never_ends_is_not_waited_for_for_ever(
    bench: Bench, operator: ReconcileContext, tidied: int
) -> None:
    """It is deleted by force, waited for as long as after any run, and reported once."""
    job = failed(bench, operator)
    error = job.document["status"]["error"]
    lingering(bench, job)
    began = bench.now
    while bench.now - began < tidied:
        bench.now += bench.step(operator) or 1.0
    bench.set(job.target, "/spec/restarts", 1)
    while bench.job().run == 1:
        assert bench.now - began <= max(SETTLE_SECONDS, tidied) + 2
        bench.now += bench.step(operator) or 0.0
        if bench.job().run == 1:
            assert retried(bench)[:2] == ("False", "WaitingForPods")
            assert retried(bench)[2].startswith(
                "run 2 waits for pods of the last run to end (1 left, e.g. p), 90 s at most;"
            )
            assert bench.job().document["status"]["error"] == error
    assert bench.now - began >= SETTLE_SECONDS
    assert [reason for reason, _ in bench.events()].count("WaitingForPods") == (tidied < SETTLE_SECONDS)
    forced = [each.body for each in bench.requests if (each.verb, each.name) == ("delete", "p")]
    assert {each["gracePeriodSeconds"] for each in forced} == {0}
    assert "Retried" not in {each["type"] for each in bench.job().document["status"]["conditions"]}


def test_pods_that_end_are_waited_for(bench: Bench, operator: ReconcileContext) -> None:
    """The next run begins when the last of them has."""
    job = failed(bench, operator)
    pod = lingering(bench, job)
    bench.set(job.target, "/spec/restarts", 1)
    for _ in range(5):
        bench.now += bench.step(operator) or 0.0
    assert bench.job().run == 1
    bench.patch(pod, {"op": "remove", "path": "/metadata/finalizers"})
    bench.step(operator)
    assert bench.job().run == 2


def test_a_new_job_with_restarts_has_been_restarted_already(bench: Bench, operator: ReconcileContext) -> None:
    """Only raising it asks for another run."""
    job = failed(bench, operator, restarts=2)
    assert job.document["status"]["observedRestarts"] == 2
    bench.step(operator)
    assert (bench.job().phase, bench.job().run) == ("FAIL", 1)
