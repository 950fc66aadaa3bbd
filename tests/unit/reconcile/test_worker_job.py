"""The Kubernetes Job has ended, or is gone, and the job has not ended: another generation of workers, or FAIL."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.workers.worker_job import MAX_GENERATIONS
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import KUBERNETES_JOBS, PODS
from kubemr.locks.conditional import Target
from support.bench import NAMESPACE, Bench, LiveCache, asks


def kubernetes_job(job: JobView, generation: int = 0) -> Target:
    """One generation of the workers."""
    return Target(KUBERNETES_JOBS, NAMESPACE, names.workers(job.base, generation))


def end(bench: Bench, job: JobView, generation: int = 0, message: str = "backoff limit reached") -> None:
    """End the Kubernetes Job, as if it had used up its pod failures."""
    target = kubernetes_job(job, generation)
    condition = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": message}
    bench.set(Target(KUBERNETES_JOBS, NAMESPACE, target.name, "status"), "/status", {"conditions": [condition]})


def pod(bench: Bench, job: JobView, name: str, finished: str, message: str, code: int = 1) -> None:
    """Create a pod that ended."""
    labels = names.labels(job.uid, job.run)
    containers = [{"name": "worker", "image": "i"}]
    bench.create(PODS, {"metadata": {"name": name, "labels": labels}, "spec": {"containers": containers}})
    terminated = {"exitCode": code, "message": message, "finishedAt": finished}
    state = [{"name": "worker", "state": {"terminated": terminated}}, {"name": "other", "state": {}}]
    bench.set(Target(PODS, NAMESPACE, name, "status"), "/status", {"containerStatuses": state})


def generations(bench: Bench) -> list[str]:
    """Return the names of all Kubernetes Jobs, shortened."""
    return sorted(item["metadata"]["name"].partition("-workers")[2] for item in bench.objects(KUBERNETES_JOBS))


def test_workers_that_worked_are_started_again(bench: Bench, operator: ReconcileContext) -> None:
    """What ended them may pass; an Event says so."""
    job = bench.deployed(operator)
    bench.hold_lease(job, 0, "w0-aaaaaa")
    bench.step(operator)
    assert generations(bench) == [""]
    end(bench, job)
    bench.step(operator)
    assert generations(bench) == ["", "-1"]
    assert bench.events()[-1] == (
        "WorkersRestarted",
        "the workers ended before the job was done: backoff limit reached",
    )


def test_a_few_times_and_no_more(bench: Bench, operator: ReconcileContext) -> None:
    """Then the job fails with what the last pod said."""
    job = bench.deployed(operator)
    bench.hold_lease(job, 0, "w0-aaaaaa")
    pod(bench, job, "first", "2026-01-01T00:00:01Z", "early words")
    pod(bench, job, "second", "2026-01-01T00:00:02Z", "", code=137)
    for generation in range(MAX_GENERATIONS):
        end(bench, job, generation)
        bench.step(operator)
    assert len(generations(bench)) == MAX_GENERATIONS
    error = bench.job().document["status"]["error"]
    assert error == "the workers ended 4 times before the job was done: pod second: exit code 137"


@pytest.mark.parametrize("said", ["", "No module named 'words'"])
def test_workers_that_never_worked_are_not(bench: Bench, operator: ReconcileContext, said: str) -> None:
    """No pod will ever do better: the job fails with its words, or else with those of Kubernetes."""
    job = bench.deployed(operator)
    if said:
        pod(bench, job, "p", "2026-01-01T00:00:01Z", f"\n{said}\n")
    end(bench, job)
    bench.step(operator)
    error = bench.job().document["status"]["error"]
    assert error == "no worker ever started its work: " + (f"pod p: {said}" if said else "backoff limit reached")
    assert bench.job().phase == "FAIL"


def test_the_last_words_are_those_of_a_pod_that_failed_by_itself(bench: Bench, operator: ReconcileContext) -> None:
    """When Kubernetes gives up it ends the pods that still run; others have left, with exit code 0."""
    job = bench.deployed(operator)
    pod(bench, job, "first", "2026-01-01T00:00:01Z", "no module x")
    pod(bench, job, "told", "2026-01-01T00:00:02Z", "worker_told_to_end", code=143)
    pod(bench, job, "left", "2026-01-01T00:00:03Z", "worker_left", code=0)
    end(bench, job)
    bench.step(operator)
    assert bench.job().document["status"]["error"] == "no worker ever started its work: pod first: no module x"


def test_whose_pods_were_all_told_to_end(bench: Bench, operator: ReconcileContext) -> None:
    """Then that is what they said last."""
    job = bench.deployed(operator)
    pod(bench, job, "told", "2026-01-01T00:00:02Z", "", code=143)
    end(bench, job)
    bench.step(operator)
    assert bench.job().document["status"]["error"] == "no worker ever started its work: pod told: exit code 143"


def failures(bench: Bench, job: JobView, failed: int, **status: int) -> None:
    """So many pods have failed, and Kubernetes has not given up yet."""
    target = Target(KUBERNETES_JOBS, NAMESPACE, kubernetes_job(job).name, "status")
    bench.set(target, "/status", {"failed": failed, **status})


@pytest.mark.parametrize(("replicas", "bound"), [(1, 4), (3, 6)])
def test_no_worker_ever_started_and_enough_pods_have_failed(
    bench: Bench, operator: ReconcileContext, replicas: int, bound: int
) -> None:
    """Twice as many as there are workers, `maxAttempts` at least: Kubernetes would continue for hours."""
    job = bench.deployed(operator, replicas=replicas)
    pod(bench, job, "p", "2026-01-01T00:00:01Z", "no module x")
    failures(bench, job, bound - 1)
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"
    failures(bench, job, bound)
    bench.step(operator)
    assert bench.job().document["status"]["error"] == "no worker ever started its work: pod p: no module x"


@pytest.mark.parametrize("case", ["one is ready", "one has started", "it was over just then"])
def test_it_is_not_hopeless_when(bench: Bench, operator: ReconcileContext, case: str) -> None:
    """A pod runs now, or a worker has held its Lease, or the job has ended in the meantime."""
    job = bench.deployed(operator, replicas=1)
    failures(bench, job, 10, **({"ready": 1} if case == "one is ready" else {}))
    if case == "one has started":
        bench.hold_lease(job, 0, "w0-aaaaaa")
    if case == "it was over just then":
        bench.meanwhile(asks("get", "mapreducejobs"), lambda: bench.set(job.status, "/status/phase", "COMPLETE"))
    bench.step(operator)
    assert bench.job().phase == ("COMPLETE" if case == "it was over just then" else "DEPLOYED")


def test_a_stale_cache_starts_nothing(bench: Bench, operator: ReconcileContext) -> None:
    """It does not show the end; or it shows an older generation only, whose successor is there."""
    cache = operator.cache
    assert isinstance(cache, LiveCache)
    job = bench.deployed(operator)
    bench.hold_lease(job, 0, "w0-aaaaaa")
    cache.revision = bench.server.revision
    end(bench, job)
    bench.step(operator)
    assert generations(bench) == [""]
    cache.revision = bench.server.revision
    bench.step(operator)
    bench.step(operator)
    assert generations(bench) == ["", "-1"]


def test_one_whose_workers_have_all_exited_with_0_is_started_again(bench: Bench, operator: ReconcileContext) -> None:
    """It should not happen, as some always stay; a worker of another make may do it all the same."""
    job = bench.deployed(operator)
    bench.hold_lease(job, 0, "w0-aaaaaa")
    condition = {"type": "Complete", "status": "True", "reason": "CompletionsReached", "message": "all have succeeded"}
    target = Target(KUBERNETES_JOBS, NAMESPACE, kubernetes_job(job).name, "status")
    bench.set(target, "/status", {"conditions": [condition]})
    bench.step(operator)
    assert generations(bench) == ["", "-1"]


def test_a_deleted_kubernetes_job_is_created_again(bench: Bench, operator: ReconcileContext) -> None:
    """Without it no worker would ever come back, and the job would hang."""
    job = bench.deployed(operator)
    bench.delete(kubernetes_job(job))
    bench.step(operator)
    assert generations(bench) == [""]
    assert bench.events()[-1][0] == "WorkersRestarted"


def test_one_that_the_cache_does_not_show_yet_is_not_made_again(bench: Bench, operator: ReconcileContext) -> None:
    """A consistent list decides."""
    cache = operator.cache
    assert isinstance(cache, LiveCache)
    cache.revision = bench.server.revision
    bench.deployed(operator)
    bench.step(operator)
    assert "WorkersRestarted" not in dict(bench.events())


def test_one_that_goes_while_it_is_looked_at(bench: Bench, operator: ReconcileContext) -> None:
    """The next look makes it again."""
    job = bench.deployed(operator)
    end(bench, job)
    bench.meanwhile(asks("get", "jobs"), lambda: bench.delete(kubernetes_job(job)))
    bench.step(operator)
    assert (generations(bench), bench.job().phase) == ([], "DEPLOYED")
    bench.step(operator)
    assert generations(bench) == [""]


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "ended"])
def test_no_workers_for_a_job_that_was_over_just_then(bench: Bench, operator: ReconcileContext, deleted: bool) -> None:
    """They exited because it was: the last look is a consistent one."""
    job = bench.deployed(operator)
    bench.hold_lease(job, 0, "w0-aaaaaa")
    if deleted:
        bench.delete(kubernetes_job(job))
    else:
        end(bench, job)
    bench.meanwhile(asks("get", "mapreducejobs"), lambda: bench.set(job.status, "/status/phase", "COMPLETE"))
    bench.step(operator)
    assert generations(bench) == ([] if deleted else [""])


def test_a_condition_that_is_not_true_is_no_end(bench: Bench, operator: ReconcileContext) -> None:
    """Nor is one of another type."""
    job = bench.deployed(operator)
    conditions = [{"type": "Failed", "status": "False"}, {"type": "Suspended", "status": "True"}]
    target = Target(KUBERNETES_JOBS, NAMESPACE, kubernetes_job(job).name, "status")
    bench.set(target, "/status", {"conditions": conditions})
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"
