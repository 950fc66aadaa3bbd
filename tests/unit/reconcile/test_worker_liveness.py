"""The liveness of many workers costs one list at the pace of their Leases; a failed page declares no worker dead."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import Request
from support.bench import LEASE_SECONDS, UNAVAILABLE, Bench, asks

WORKERS = 10


def tokens() -> list[str]:
    """One for each worker."""
    return [f"w{index}-aaaaaa" for index in range(WORKERS)]


@pytest.fixture
def job(bench: Bench, operator: ReconcileContext) -> JobView:
    """Ten workers hold one task each."""
    job = bench.deployed(operator, inputs=list("abcdefghij"), replicas=WORKERS, partitions=0)
    for index, token in enumerate(tokens()):
        bench.hold_lease(job, index, token)
    bench.write_tasks(job, {index: f"running/1/0/0/{token}" for index, token in enumerate(tokens())})
    bench.requests.clear()
    return job


def looks(bench: Bench) -> list[Request]:
    """Return the requests for Leases."""
    return [each for each in bench.requests if each.resource.plural == "leases" and each.verb in ("get", "list")]


def test_many_leases_are_read_by_one_list_at_a_quarter_of_their_duration(
    bench: Bench, operator: ReconcileContext, job: JobView
) -> None:
    """Not by a GET each, and not whenever the operator looks at the job."""
    began = bench.now
    while bench.now - began < 5 * LEASE_SECONDS:
        for index in range(WORKERS):
            bench.set(job.lease_of(index), "/spec/renewTime", bench.micro_timestamp())
        bench.step(operator)
        bench.now += 0.5
    assert {each.verb for each in looks(bench)} == {"list"}
    assert 18 <= len(looks(bench)) <= 21
    assert len(bench.shard(job).holders) == WORKERS


def test_the_silent_one_among_many_is_found(
    bench: Bench, operator: ReconcileContext, job: JobView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a whole duration, and not before; also when the list takes several pages."""
    monkeypatch.setattr("kubemr.controller.reconcile.workers.liveness.PAGE", 4)
    began = bench.now
    while "w3-aaaaaa" in bench.shard(job).holders:
        assert bench.now - began <= LEASE_SECONDS * 1.5
        for index in range(WORKERS):
            if index != 3:
                bench.set(job.lease_of(index), "/spec/renewTime", bench.micro_timestamp())
        bench.now += bench.step(operator) or 0.0
    assert bench.now - began >= LEASE_SECONDS
    assert str(bench.shard(job).tasks[3]) == "pending/2/0/1/"
    assert len(bench.shard(job).holders) == WORKERS - 1


def test_a_page_that_is_not_given_starts_all_windows_again(
    bench: Bench, operator: ReconcileContext, job: JobView
) -> None:
    """While the apiserver was away no worker could renew its Lease."""
    began = bench.now
    while bench.now - began < LEASE_SECONDS - 1.0:
        bench.now += bench.step(operator) or 0.0
    bench.answer(asks("list", "leases"), UNAVAILABLE)
    failed = bench.now
    while bench.shard(job).holders:
        assert bench.now - failed <= LEASE_SECONDS * 1.5
        bench.now += bench.step(operator) or 0.0
    assert bench.now - failed >= LEASE_SECONDS
