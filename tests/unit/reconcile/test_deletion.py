"""A job that is being deleted: its pods first, then its storage, then the finalizer."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import FINALIZER, KUBERNETES_JOBS, PODS, Operator
from kubemr.controller.reconcile.machine import reconcile
from kubemr.coordination import names
from kubemr.coordination.job import JobView
from kubemr.locks.conditional import Target
from kubemr.locks.request import Json
from support.bench import NAMESPACE, Bench, asks, patches
from support.simulation.store import StoreFailed


def deleted(bench: Bench, operator: Operator, **spec: Json) -> JobView:
    """A deployed job with a pod and an object in storage, that somebody deletes."""
    job = bench.deployed(operator, **spec)
    labels = names.labels(job.uid, job.run)
    bench.create(
        PODS, {"metadata": {"name": "p", "labels": labels}, "spec": {"containers": [{"name": "w", "image": "i"}]}}
    )
    bench.store.put(f"{job.storage_prefix}0/map/0/1-w0-aaaaaa/outputs.json", b"{}")
    bench.delete(job.target)
    return bench.job()


def exists(bench: Bench) -> bool:
    """Whether the job is still there."""
    return bool(bench.objects(names.JOBS))


def test_the_order(bench: Bench, operator: Operator) -> None:
    """As long as a pod is left storage is not touched; the finalizer goes last."""
    deleted(bench, operator)
    assert bench.step(operator) == 1.0
    assert bench.objects(KUBERNETES_JOBS) == []
    assert bench.store.objects
    bench.delete(Target(PODS, NAMESPACE, "p"))
    bench.meanwhile(patches("mapreducejobs"), lambda: seen.append(dict(bench.store.objects)))
    seen: list[object] = []
    assert bench.step(operator) is None
    assert seen == [{}]
    assert not exists(bench)
    bench.server.collect_garbage()
    assert bench.everything() == {}


def test_storage_that_fails_holds_the_job_back(bench: Bench, operator: Operator) -> None:
    """Nothing is left behind unseen: it is tried again."""
    deleted(bench, operator)
    bench.delete(Target(PODS, NAMESPACE, "p"))
    bench.storage_fails = True
    with pytest.raises(StoreFailed):
        bench.step(operator)
    assert exists(bench)
    bench.storage_fails = False
    bench.step(operator)
    assert not exists(bench)


def test_somebody_elses_finalizer_stays(bench: Bench, operator: Operator) -> None:
    """Ours is taken off, and from then on nothing is done."""
    job = bench.deployed(operator)
    bench.set(job.target, "/metadata/finalizers", ["example.com/mine", FINALIZER])
    bench.delete(job.target)
    bench.step(operator)
    assert bench.job().document["metadata"]["finalizers"] == ["example.com/mine"]
    bench.requests.clear()
    assert bench.step(operator) is None
    assert bench.requests == []


def test_a_job_without_our_finalizer_is_not_ours_to_clean(bench: Bench, operator: Operator) -> None:
    """It was never accepted."""
    job = bench.submit()
    bench.set(job.target, "/metadata/finalizers", ["example.com/mine"])
    bench.delete(job.target)
    bench.requests.clear()
    assert bench.step(operator) is None
    assert bench.requests == []


def test_any_operator_may_do_it_and_two_may_at_once(bench: Bench, operator: Operator) -> None:
    """The finalizer is taken off once; who is slower finds the job gone."""
    deleted(bench, operator)
    bench.delete(Target(PODS, NAMESPACE, "p"))
    other = bench.operator("op-b")
    bench.meanwhile(patches("mapreducejobs"), lambda: bench.step(other))
    assert bench.step(operator) is None
    assert not exists(bench)


@pytest.mark.parametrize("requests", range(1, 6))
def test_a_crash_after_each_request(requests: int) -> None:
    """Whoever looks next goes on."""
    bench = Bench()
    operator = bench.operator()
    job = deleted(bench, operator)
    bench.delete(Target(PODS, NAMESPACE, "p"))
    bench.crash_after(reconcile(job.document, operator), requests)
    if exists(bench):
        bench.step(bench.operator("op-b"))
    bench.server.collect_garbage()
    assert not exists(bench)
    assert bench.everything() == {}
    assert bench.store.objects == {}


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_job_that_is_deleted_before_it_is_deployed(bench: Bench, operator: Operator, steps: int) -> None:
    """New, PENDING, DEPLOYING."""
    job = bench.submit()
    for _ in range(steps):
        bench.step(operator)
    bench.delete(job.target)
    if exists(bench):
        bench.step(operator)
    assert not exists(bench)


def test_a_deployment_that_goes_on_while_the_job_is_deleted_leaves_nothing(bench: Bench, operator: Operator) -> None:
    """What it creates afterwards has an owner that does not exist, and is collected."""
    job = bench.submit()
    bench.step(operator)
    bench.step(operator)
    other = bench.operator("op-b")

    def gone() -> None:
        bench.delete(job.target)
        bench.step(other)
        assert not exists(bench)

    bench.meanwhile(asks("create", "leases"), gone)
    bench.run(reconcile(bench.job().document, operator))
    bench.server.collect_garbage()
    assert bench.everything() == {}


def test_what_was_remembered_of_it_is_forgotten(bench: Bench, operator: Operator) -> None:
    """By every operator that sees it go."""
    job = deleted(bench, operator)
    operator.cleaned[job.uid, 1] = 3.0
    bench.step(operator)
    assert (operator.censuses, operator.cleaned) == ({}, {})
