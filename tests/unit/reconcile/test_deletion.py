"""A job that is being deleted: its pods first, then its storage, then the finalizer."""

from __future__ import annotations

import json

import pytest

from kubemr.controller.reconcile.context import FINALIZER, ReconcileContext
from kubemr.controller.reconcile.objects import builders
from kubemr.controller.reconcile.reconciler import reconcile
from kubemr.controller.reconcile.storage.orphaned_prefixes import record_orphaned_prefix, sweep_orphaned_prefixes
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import CONFIG_MAPS, KUBERNETES_JOBS, PODS, SECRETS
from kubemr.locks.conditional import RequestRefusedError, Target
from kubemr.locks.effects import Json
from kubemr.tasks.shard import SHARDS
from support.bench import DENIED, NAMESPACE, Bench, asks, patches


def deleted(bench: Bench, operator: ReconcileContext, **spec: Json) -> JobView:
    """Create a deployed job with a pod and an object in storage, and delete it."""
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


def test_the_order(bench: Bench, operator: ReconcileContext) -> None:
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
    assert bench.everything() == {}


def test_storage_that_fails_holds_the_job_back(bench: Bench, operator: ReconcileContext) -> None:
    """It is said, once, and tried again, ever less often."""
    deleted(bench, operator)
    bench.delete(Target(PODS, NAMESPACE, "p"))
    bench.storage_fails = True
    waits = []
    for _ in range(16):
        wait = bench.step(operator)
        assert wait is not None
        waits.append(wait)
        bench.now += wait
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (1.0, 60.0)
    messages = [message for reason, message in bench.events() if reason == "StorageCleanupFailed"]
    assert len(messages) == 1
    assert messages[0].startswith("the job's objects cannot be removed: delete words-")
    assert exists(bench)
    bench.storage_fails = False
    bench.step(operator)
    assert not exists(bench)
    assert bench.objects(CONFIG_MAPS, namespace="kubemr") == []


@pytest.mark.parametrize("what", ["storage", "a pod"])
def test_after_the_deadline_the_job_is_released_and_swept_later(
    bench: Bench, operator: ReconcileContext, what: str
) -> None:
    """An Event names the prefix, a counter counts, and a list that outlives this operator has it."""
    job = deleted(bench, operator)
    other = bench.deployed(operator, "other")
    bench.store.put(f"{other.storage_prefix}kept", b"")
    if what == "storage":
        bench.delete(Target(PODS, NAMESPACE, "p"))
        bench.storage_fails = True
    for _ in range(700):
        wait = bench.step(operator)
        if wait is None:
            break
        bench.now += wait
    assert [item["metadata"]["name"] for item in bench.objects(names.JOBS)] == ["other"]
    (said,) = [message for reason, message in bench.events() if reason == "StorageOrphaned"]
    assert said.startswith(f"released with objects left below {job.storage_prefix}: ")
    assert operator.counters == {"unswept_prefixes": 1}
    restarted = bench.operator("op-b")
    if what == "storage":
        assert list(bench.run(sweep_orphaned_prefixes(restarted))) == [job.uid]
        bench.storage_fails = False
    bench.store.put(f"{job.storage_prefix}late", b"")
    assert bench.run(sweep_orphaned_prefixes(restarted)) == {}
    assert restarted.counters == {"swept_prefixes": 1}
    assert list(bench.store.objects) == [f"{other.storage_prefix}kept"]
    (listed,) = bench.objects(CONFIG_MAPS, namespace="kubemr")
    assert not listed.get("data")
    bench.run(record_orphaned_prefix(job, restarted))
    bench.run(record_orphaned_prefix(other, restarted))
    (listed,) = bench.objects(CONFIG_MAPS, namespace="kubemr")
    assert set(listed["data"]) == {job.uid, other.uid}


def test_a_list_of_prefixes_that_may_not_be_written_keeps_the_job(bench: Bench, operator: ReconcileContext) -> None:
    """Nothing is left behind unseen."""
    deleted(bench, operator)
    bench.delete(Target(PODS, NAMESPACE, "p"))
    bench.storage_fails = True
    bench.now += 600
    bench.answer(asks("create", "configmaps"), DENIED)
    with pytest.raises(RequestRefusedError, match="creating configmaps kubemr/kubemr-unswept"):
        bench.step(operator)
    assert exists(bench)
    bench.lose(asks("create", "configmaps"))
    bench.step(operator)
    assert not exists(bench)


def test_a_job_that_never_ran_needs_no_storage_to_be_deleted(bench: Bench, operator: ReconcileContext) -> None:
    """Its bucket may never have existed."""
    job = bench.submit()
    bench.step(operator)
    bench.step(operator)
    bench.storage_fails = True
    bench.step(operator)
    assert bench.job().phase == "DEPLOYING"
    bench.delete(job.target)
    bench.step(operator)
    assert not exists(bench)


def test_a_look_that_is_out_of_date_does_not_release_the_job(bench: Bench, operator: ReconcileContext) -> None:
    """It shows DEPLOYING, and the workers have written since."""
    bench.submit()
    bench.step(operator)
    bench.step(operator)
    old = bench.job().document
    bench.step(operator)
    job = bench.job()
    bench.store.put(f"{job.storage_prefix}x", b"")
    bench.delete(job.target)
    old["metadata"]["deletionTimestamp"] = bench.job().document["metadata"]["deletionTimestamp"]
    bench.run(reconcile(old, operator))
    assert exists(bench)
    bench.step(operator)
    assert (exists(bench), bench.store.objects) == (False, {})


def test_another_finalizer_stays(bench: Bench, operator: ReconcileContext) -> None:
    """Ours is taken off, and from then on nothing is done."""
    job = bench.deployed(operator)
    bench.set(job.target, "/metadata/finalizers", ["example.com/mine", FINALIZER])
    bench.delete(job.target)
    bench.step(operator)
    assert bench.job().document["metadata"]["finalizers"] == ["example.com/mine"]
    bench.requests.clear()
    assert bench.step(operator) is None
    assert bench.requests == []


def test_no_child_is_left_to_the_garbage_collector(bench: Bench, operator: ReconcileContext) -> None:
    """It may be late or absent.  Children of another job stay."""
    job = deleted(bench, operator)
    other = bench.deployed(operator, "other")
    bench.delete(Target(PODS, NAMESPACE, "p"))
    bench.create(SECRETS, {"metadata": builders.metadata(job, names.secret(job.base))})
    bench.step(operator)
    assert not [name for name, document in bench.everything().items() if job.uid in json.dumps(document)]
    assert len(bench.objects(SHARDS)) == sum(stage.shards for stage in other.stages)


def test_children_that_may_not_be_deleted_hold_the_job_until_the_deadline(
    bench: Bench, operator: ReconcileContext
) -> None:
    """The error is raised, so that it is logged and the step is repeated; then the garbage collector has to do."""
    deleted(bench, operator)
    bench.delete(Target(PODS, NAMESPACE, "p"))
    bench.before.append(lambda request: DENIED if asks("delete", "mapreducetaskshards")(request) else None)
    with pytest.raises(RequestRefusedError, match="deleting mapreducetaskshards"):
        bench.step(operator)
    assert exists(bench)
    bench.now += operator.settings.deletion_seconds
    bench.step(operator)
    assert not exists(bench)
    bench.server.collect_garbage()
    assert bench.everything() == {}


def test_a_job_without_our_finalizer_is_not_ours_to_clean(bench: Bench, operator: ReconcileContext) -> None:
    """It was never accepted."""
    job = bench.submit()
    bench.set(job.target, "/metadata/finalizers", ["example.com/mine"])
    bench.delete(job.target)
    bench.requests.clear()
    assert bench.step(operator) is None
    assert bench.requests == []


def test_any_operator_may_do_it_and_two_may_at_once(bench: Bench, operator: ReconcileContext) -> None:
    """The finalizer is taken off once; who is slower finds the job gone."""
    deleted(bench, operator)
    bench.delete(Target(PODS, NAMESPACE, "p"))
    other = bench.operator("op-b")
    bench.meanwhile(patches("mapreducejobs"), lambda: bench.step(other))
    assert bench.step(operator) is None
    assert not exists(bench)


@pytest.mark.parametrize("requests", range(1, 40))
def test_a_crash_after_each_request(requests: int) -> None:
    """The next operator continues."""
    bench = Bench()
    operator = bench.operator()
    job = deleted(bench, operator)
    bench.delete(Target(PODS, NAMESPACE, "p"))
    bench.crash_after(reconcile(job.document, operator), requests)
    if exists(bench):
        bench.step(bench.operator("op-b"))
    assert not exists(bench)
    assert bench.everything() == {}
    assert bench.store.objects == {}


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_job_that_is_deleted_before_it_is_deployed(bench: Bench, operator: ReconcileContext, steps: int) -> None:
    """New, PENDING, DEPLOYING."""
    job = bench.submit()
    for _ in range(steps):
        bench.step(operator)
    bench.delete(job.target)
    if exists(bench):
        bench.step(operator)
    assert not exists(bench)


def test_a_deployment_that_goes_on_while_the_job_is_deleted_leaves_nothing(
    bench: Bench, operator: ReconcileContext
) -> None:
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


def test_what_was_remembered_of_it_is_forgotten(bench: Bench, operator: ReconcileContext) -> None:
    """By the operator that releases it."""
    job = deleted(bench, operator)
    bench.delete(Target(PODS, NAMESPACE, "p"))
    operator.cleaned[job.uid, 1] = 3.0
    operator.memory(job.uid).pods_checked_at = 3.0
    bench.step(operator)
    assert not exists(bench)
    assert (operator.memories, operator.cleaned) == ({}, {})


def test_two_operators_that_sweep_at_once_count_a_prefix_once(bench: Bench, operator: ReconcileContext) -> None:
    """The one whose patch removed the entry counts it; the other finds the entry gone."""
    job = deleted(bench, operator)
    bench.run(record_orphaned_prefix(job, operator))
    other = bench.operator("op-b")
    bench.meanwhile(patches("configmaps"), lambda: bench.run(sweep_orphaned_prefixes(other)))
    assert bench.run(sweep_orphaned_prefixes(operator)) == {}
    assert (operator.counters["swept_prefixes"], other.counters["swept_prefixes"]) == (0, 1)
    assert bench.store.objects == {}
