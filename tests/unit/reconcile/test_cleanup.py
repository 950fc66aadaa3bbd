"""COMPLETE or FAIL: what the run needed is removed, and the job when its time has come."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.objects import rbac
from kubemr.controller.reconcile.phases.cleanup import SETTLE_SECONDS, prefixes_to_delete
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import CONFIG_MAPS, KUBERNETES_JOBS, PODS, SECRETS
from kubemr.locks import RequestRefusedError
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json, Resource
from kubemr.locks.lease import LEASES
from kubemr.tasks.shard import SHARDS
from support.bench import DENIED, NAMESPACE, UNAVAILABLE, Bench, asks
from support.simulation.store import StoreFailed

MORE: dict[str, Json] = {
    "roles": {"rules": []},
    "rolebindings": {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x"}, "subjects": []},
}
"""What objects of these kinds cannot do without."""


def finished(bench: Bench, operator: ReconcileContext, phase: str = "COMPLETE", **spec: Json) -> JobView:
    """Create a job that was deployed and is over."""
    job = bench.deployed(operator, **spec)
    for stage in ("map", "reduce", "run-1"):
        bench.store.put(f"{job.storage_prefix}0/{stage}/0/x", b"")
    bench.set(job.status, "/status/completionTime", bench.now_string())
    bench.set(job.status, "/status/phase", phase)
    return bench.job()


def stages_left(bench: Bench) -> list[str]:
    """Return what storage still holds."""
    return [key.split("/")[2] for key in sorted(bench.store.objects)]


@pytest.mark.parametrize("phase", ["COMPLETE", "FAIL"])
def test_everything_of_the_run_is_removed(bench: Bench, operator: ReconcileContext, phase: str) -> None:
    """The job stays."""
    finished(bench, operator, phase)
    bench.step(operator)
    left = {name.partition("/")[0] for name in bench.everything()}
    assert left == ({"mapreducetaskshards"} if phase == "FAIL" else set())  # A retry continues from its shards.
    assert bench.job().phase == phase


def test_any_operator_may_do_it(bench: Bench, operator: ReconcileContext) -> None:
    """Also while the lock holder lives; doing it twice is harmless."""
    finished(bench, operator)
    bench.step(bench.operator("op-b"))
    assert bench.everything() == {}
    bench.step(operator)


@pytest.mark.parametrize(
    ("policy", "phase", "left"),
    [
        (None, "COMPLETE", ["reduce", "run-1"]),
        ("Results", "COMPLETE", ["reduce", "run-1"]),
        ("Results", "FAIL", ["map", "reduce", "run-1"]),
        ("All", "COMPLETE", ["map", "reduce", "run-1"]),
        ("None", "COMPLETE", []),
        ("None", "FAIL", []),
    ],
)
def test_the_retention_policy(
    bench: Bench, operator: ReconcileContext, policy: str | None, phase: str, left: list[str]
) -> None:
    """Results keeps the last stage; of a failed job everything, for a retry and for the search for the cause."""
    spec: Json = {} if policy is None else {"storage": {"retentionPolicy": policy}}
    finished(bench, operator, phase, **spec)
    bench.step(operator)
    assert stages_left(bench) == left


@pytest.mark.parametrize(("policy", "left"), [("Results", 3), ("None", 0)])
def test_logs_and_errors_stay_with_the_results(
    bench: Bench, operator: ReconcileContext, policy: str, left: int
) -> None:
    """Of every stage, and nothing of users' that is called the same elsewhere; None keeps nothing."""
    job = finished(bench, operator, storage={"retentionPolicy": policy})
    attempt = names.attempt_prefix(job.storage_prefix, 0, "map", 0, "1-w0-aaaaaa")
    for name in ("log.txt", "error.json", "lost.json", "outputs.json", "mine/log.txt"):
        bench.store.put(attempt + name, b"")
    bench.step(operator)
    kept = [key.removeprefix(attempt) for key in sorted(bench.store.objects) if "/map/" in key]
    assert kept == ["error.json", "log.txt", "lost.json"][:left]


def test_a_job_that_never_had_stages_has_nothing_to_clear(bench: Bench) -> None:
    """It failed before."""
    assert prefixes_to_delete(bench.submit(storage={"retentionPolicy": "None"})) == []


def test_storage_is_not_cleared_while_pods_are_left(bench: Bench, operator: ReconcileContext) -> None:
    """What a worker writes after its prefix was deleted would stay until the job is deleted.

    Nor are its shards deleted: a late request could create one again, and the worker would repeat its tasks under the
    same names.
    """
    job = finished(bench, operator)
    pod = {
        "metadata": {"name": "p", "labels": names.labels(job.uid, 1)},
        "spec": {"containers": [{"name": "w", "image": "i"}]},
    }
    bench.create(PODS, pod)
    assert bench.step(operator) == 1.0
    assert "map" in stages_left(bench)
    rbac = {f"{plural}/{job.base}-worker" for plural in ("serviceaccounts", "roles", "rolebindings")}
    shards = {f"mapreducetaskshards/{job.shard_name(stage, 0)}" for stage in job.stages}
    assert set(bench.everything()) == {f"configmaps/{job.base}-config", "pods/p", *rbac, *shards}
    bench.delete(Target(PODS, NAMESPACE, "p"))
    bench.step(operator)
    assert "map" not in stages_left(bench)
    assert bench.objects(SHARDS) == []


def test_a_pod_that_never_goes_is_not_waited_for_for_ever(bench: Bench, operator: ReconcileContext) -> None:
    """Its node may be unreachable."""
    job = finished(bench, operator)
    pod = {
        "metadata": {"name": "p", "labels": names.labels(job.uid, 1)},
        "spec": {"containers": [{"name": "w", "image": "i"}]},
    }
    bench.create(PODS, pod)
    began = bench.now
    while "map" in stages_left(bench):
        bench.now += bench.step(operator) or 0.0
        assert bench.now - began <= SETTLE_SECONDS + 1
    assert bench.objects(CONFIG_MAPS) == []


def test_storage_that_fails_is_tried_again(bench: Bench, operator: ReconcileContext) -> None:
    """The ConfigMap goes last: while it exists, every operator continues."""
    finished(bench, operator)
    bench.storage_fails = True
    with pytest.raises(StoreFailed):
        bench.step(operator)
    assert len(bench.objects(CONFIG_MAPS)) == 1
    bench.storage_fails = False
    bench.step(operator)
    assert "map" not in stages_left(bench)
    assert bench.objects(CONFIG_MAPS) == []


def test_what_is_created_late_is_removed(bench: Bench, operator: ReconcileContext) -> None:
    """By a request that was long under way: every operator looks once more; and whenever its cache shows something."""
    job = finished(bench, operator)
    late = {
        "metadata": {
            "name": f"{job.base}-w-0",
            "labels": names.labels(job.uid, 1),
            "ownerReferences": [names.owner(job.name, job.uid)],
        }
    }
    assert bench.step(operator) == SETTLE_SECONDS
    bench.create(LEASES, late)
    bench.now += SETTLE_SECONDS
    assert bench.step(operator) is None
    assert bench.objects(LEASES, namespace=NAMESPACE) == []
    bench.requests.clear()
    bench.step(operator)
    assert bench.requests == []  # from now on a look at the cache
    template = {"spec": {"containers": [{"name": "w", "image": "i"}], "restartPolicy": "Never"}}
    bench.create(KUBERNETES_JOBS, {**late, "spec": {"template": template}})
    bench.step(operator)
    assert bench.objects(KUBERNETES_JOBS) == []


def test_what_is_created_late_for_an_earlier_run_is_removed(bench: Bench, operator: ReconcileContext) -> None:
    """Its names are of that run, and some kinds the operator may not list."""
    job = finished(bench, operator)
    bench.step(operator)
    bench.set(job.status, "/status/run", 2)
    assert bench.step(operator) == SETTLE_SECONDS
    owned = {"labels": names.labels(job.uid, 1), "ownerReferences": [names.owner(job.name, job.uid)]}
    late: dict[Resource, str] = {CONFIG_MAPS: names.config_map(job.base), SECRETS: names.secret(job.base)}
    late |= dict.fromkeys(rbac.KINDS, names.account(job.base))
    for resource, name in late.items():
        bench.create(resource, {"metadata": {"name": name, **owned}, **MORE.get(resource.plural, {})})
    bench.now += SETTLE_SECONDS
    assert bench.step(operator) is None
    assert bench.everything() == {}


def test_the_time_to_live(bench: Bench, operator: ReconcileContext) -> None:
    """From the end on; the deletion names the uid."""
    job = finished(bench, operator, ttlSecondsAfterFinished=200)
    assert bench.step(operator) == SETTLE_SECONDS
    bench.now += 195
    assert bench.step(operator) == 5
    bench.now += 5
    bench.requests.clear()
    bench.step(operator)
    (deletion,) = [request for request in bench.requests if request.verb == "delete"]
    assert (deletion.resource, deletion.name) == (names.JOBS, "words")
    assert deletion.body["preconditions"] == {
        "uid": job.uid,
        "resourceVersion": bench.requests[-1].body["preconditions"]["resourceVersion"],
    }


def test_what_was_counted_of_its_workers_is_forgotten(bench: Bench, operator: ReconcileContext) -> None:
    """The memory of an operator does not grow with the jobs it has seen."""
    job = bench.deployed(operator)
    bench.step(operator)
    assert operator.memory(job.uid).liveness is not None
    bench.set(job.status, "/status/phase", "FAIL")
    bench.step(operator)
    assert operator.memory(job.uid).liveness is None
    operator.cleaned["another", 1] = 7.0
    operator.forget(job.uid)
    assert (operator.memories, operator.cleaned) == ({}, {("another", 1): 7.0})


def test_a_delete_without_an_answer_is_repeated(bench: Bench, operator: ReconcileContext) -> None:
    """404 then says that it is gone; a 409, that another object has the name by now."""
    finished(bench, operator)
    bench.lose(asks("delete", "leases"))
    bench.answer(asks("delete", "jobs"), UNAVAILABLE)
    bench.step(operator)
    assert bench.everything() == {}


def test_a_delete_that_is_denied_is_an_error(bench: Bench, operator: ReconcileContext) -> None:
    """With the object's name."""
    job = finished(bench, operator)
    bench.answer(asks("delete", "jobs"), DENIED)
    with pytest.raises(
        RequestRefusedError, match=f"deleting jobs default/{job.base}-workers: the apiserver refused it with 403"
    ):
        bench.step(operator)


def test_only_children_of_this_job_are_removed(bench: Bench, operator: ReconcileContext) -> None:
    """Another job's objects are left alone, and so are those without labels of kubemr."""
    bench.deployed(operator, "other")
    before = bench.everything()
    bench.create(SECRETS, {"metadata": {"name": "somebody-elses"}})
    finished(bench, operator)
    bench.step(operator)
    assert set(bench.everything()) == {*before, "secrets/somebody-elses"}
