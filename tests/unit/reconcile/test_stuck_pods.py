"""Pods on a node that does not answer: removed by force when their Lease has expired, not before."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import JOB_COMPLETION_INDEX, KUBERNETES_JOBS, PODS
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json, Request
from support.bench import LEASE_SECONDS, NAMESPACE, UNAVAILABLE, Bench, BenchSettings, LiveCache, patches

POD = Target(PODS, NAMESPACE, "p")
TOKEN = "w0-aaaaaa"
DISRUPTED = "DisruptionTarget"
"""The condition of a pod by which Kubernetes does not count its failure."""


def ending(bench: Bench, job: JobView, **labels: str) -> Json:
    """Create a pod that is terminating and cannot end."""
    metadata = {
        "name": "p",
        "labels": {**names.labels(job.uid, job.run), JOB_COMPLETION_INDEX: "0", **labels},
        "finalizers": ["example.com/node"],
    }
    bench.create(PODS, {"metadata": metadata, "spec": {"containers": [{"name": "w", "image": "i"}]}})
    bench.delete(POD)
    return bench.get(POD)


def forced(bench: Bench) -> list[Request]:
    """Return the deletions by force."""
    return [
        each
        for each in bench.requests
        if each.verb == "delete" and each.name == "p" and each.body.get("gracePeriodSeconds") == 0
    ]


@pytest.mark.parametrize("held", [True, False])
def test_a_pod_whose_worker_is_silent(bench: Bench, operator: ReconcileContext, held: bool) -> None:
    """After its time to end and its Lease's duration; under its uid."""
    job = bench.deployed(operator)
    if held:
        bench.hold_lease(job, 0, TOKEN)
    uid = ending(bench, job)["metadata"]["uid"]
    bench.delete(job.target)
    began = bench.now
    while not forced(bench):
        assert bench.now - began <= 30 + LEASE_SECONDS + 1
        bench.now += bench.step(operator) or 0.0
    assert bench.now - began >= 30 + LEASE_SECONDS
    assert forced(bench)[0].body["preconditions"] == {"uid": uid}
    bench.patch(POD, {"op": "remove", "path": "/metadata/finalizers"})
    bench.step(operator)
    assert bench.objects(names.JOBS) == []
    assert operator.memories == {}


@pytest.mark.parametrize("lease_seconds", [2.0, 4.0, 15.0])
def test_while_the_job_goes_on(bench: Bench, lease_seconds: float) -> None:
    """Others run; the pods of dead workers are checked often enough to see that Leases have expired, however short."""
    operator = ReconcileContext(
        "op-a", BenchSettings(bench, lease_seconds), bench.operator().failure_detector, LiveCache(bench)
    )
    job = bench.deployed(operator, replicas=2)
    bench.hold_lease(job, 0, TOKEN)
    living = bench.hold_lease(job, 1, "w1-bbbbbb")
    workers = Target(KUBERNETES_JOBS, NAMESPACE, names.workers(job.base, 0), "status")
    bench.set(workers, "/status", {"active": 1, "ready": 1, "terminating": 1})
    ending(bench, job)
    began = bench.now
    while not forced(bench):
        assert bench.now - began <= 30 + 2 * lease_seconds + 1
        bench.set(living, "/spec/renewTime", bench.micro_timestamp())
        bench.now += bench.step(operator) or 0.0
    assert bench.now - began >= 30 + lease_seconds


@pytest.mark.parametrize(
    "conditions", [None, [{"type": "Ready", "status": "False"}], [{"type": DISRUPTED, "status": "True"}]]
)
def test_it_is_marked_as_failed_first(bench: Bench, operator: ReconcileContext, conditions: list[Json] | None) -> None:
    """As a disruption: its Kubernetes Job removes its finalizer, and does not count it as a failure."""
    job = bench.deployed(operator)
    ending(bench, job)
    status: Json = {"phase": "Running"} if conditions is None else {"phase": "Running", "conditions": conditions}
    bench.set(Target(PODS, NAMESPACE, "p", "status"), "/status", status)
    bench.delete(job.target)
    while not forced(bench):
        bench.now += bench.step(operator) or 0.0
    found = bench.get(POD)["status"]
    assert (found["phase"], found["reason"]) == ("Failed", "NodeUnreachable")
    assert [each["status"] for each in found["conditions"] if each["type"] == DISRUPTED] == ["True"]
    assert len(found["conditions"]) == len([each for each in conditions or [] if each["type"] != DISRUPTED]) + 1
    before = [each.verb for each in bench.requests if each.name == "p"]
    assert before[-2:] == ["patch", "delete"]


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_what_has_ended_is_not_marked(bench: Bench, operator: ReconcileContext, phase: str) -> None:
    """Its node said so before it fell silent."""
    job = bench.deployed(operator)
    ending(bench, job)
    bench.set(Target(PODS, NAMESPACE, "p", "status"), "/status", {"phase": phase})
    bench.delete(job.target)
    while not forced(bench):
        bench.now += bench.step(operator) or 0.0
    assert bench.get(POD)["status"] == {"phase": phase}


def test_a_mark_that_is_refused_keeps_nothing_up(bench: Bench, operator: ReconcileContext) -> None:
    """The pod is deleted all the same, and marked at the next look."""
    job = bench.deployed(operator)
    ending(bench, job)
    bench.answer(patches("pods"), UNAVAILABLE)
    bench.delete(job.target)
    while len(forced(bench)) < 2:
        bench.now += bench.step(operator) or 0.0
    assert bench.get(POD)["status"]["phase"] == "Failed"


def test_of_a_job_that_is_over_no_lease_is_read(bench: Bench, operator: ReconcileContext) -> None:
    """It has none any more, and a thousand pods may end at once; the silent ones are removed all the same."""
    job = bench.deployed(operator)
    bench.set(job.status, "/status/phase", "FAIL")
    ending(bench, job)
    began = bench.now
    while not forced(bench):
        assert bench.now - began <= 30 + LEASE_SECONDS + 1
        bench.now += bench.step(operator) or 0.0
    assert not [each for each in bench.requests if each.verb == "get" and each.name == job.lease_of(0).name]


def test_a_worker_that_lives_is_left_alone(bench: Bench, operator: ReconcileContext) -> None:
    """It takes its time, and renews its Lease."""
    job = bench.deployed(operator)
    lease = bench.hold_lease(job, 0, TOKEN)
    ending(bench, job)
    bench.delete(job.target)
    for _ in range(60):
        bench.set(lease, "/spec/renewTime", bench.micro_timestamp())
        bench.now += bench.step(operator) or 0.0
    assert forced(bench) == []


def test_a_pod_of_an_earlier_run_holds_no_lease_of_this(bench: Bench, operator: ReconcileContext) -> None:
    """Its worker has nothing to say any more."""
    job = bench.deployed(operator)
    bench.hold_lease(job, 0, TOKEN)
    ending(bench, job, **{names.LABEL_RUN: "7"})
    bench.delete(job.target)
    for _ in range(39):
        bench.now += bench.step(operator) or 0.0
    assert forced(bench)
