"""Which operator holds the lock of a job, and when another takes it over."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.job_lock import is_ours, lock_value
from kubemr.controller.reconcile.reconciler import reconcile
from kubemr.locks import RequestRefusedError
from support.bench import DENIED, LEASE_SECONDS, UNAVAILABLE, Bench, asks, operator_lease, patches


def test_who_does_not_drive_a_job_only_looks_again(bench: Bench, operator: ReconcileContext) -> None:
    """As long as the lock holder renews its Lease: nothing is written, however long it lasts."""
    bench.deployed(operator)
    other = bench.operator("op-b")
    for _ in range(12):
        bench.now += 2.0
        bench.set(operator_lease("op-a"), "/spec/renewTime", bench.micro_timestamp())
        before = bench.server.revision
        assert bench.step(other) == other.failure_detector.poll
        assert bench.server.revision == before
    assert is_ours(bench.job().document, operator)


def test_a_silent_drivers_job_is_taken_over(bench: Bench, operator: ReconcileContext) -> None:
    """After a whole duration without a heartbeat; the fence rises, and patches of the former holder fail."""
    bench.deployed(operator)
    before = bench.job().document
    other = bench.operator("op-b")
    began = bench.now
    while lock_value(bench.job().document).holder != "op-b":
        assert bench.now - began <= LEASE_SECONDS + 2 * other.failure_detector.poll
        bench.now += other.failure_detector.poll
        bench.step(other)
    assert bench.now - began >= LEASE_SECONDS
    assert lock_value(bench.job().document).fence == 2
    bench.write_tasks(bench.job(), {0: "done/1/0/0/w0-aaaaaa"})
    bench.run(reconcile(before, operator))
    assert bench.job().document["status"]["progress"] == "0/4"


@pytest.mark.parametrize("how", ["its Lease is gone", "its Lease has another holder", "its Lease was given up"])
def test_a_driver_that_does_not_hold_its_lease_is_dead_at_once(
    bench: Bench, operator: ReconcileContext, how: str
) -> None:
    """No waiting after an orderly stop."""
    bench.deployed(operator)
    lease = operator_lease("op-a")
    if how == "its Lease is gone":
        bench.delete(lease)
    elif how == "its Lease has another holder":
        bench.set(lease, "/spec/holderIdentity", "op-z")
    else:
        bench.patch(lease, {"op": "remove", "path": "/spec/holderIdentity"})
    bench.step(bench.operator("op-b"))
    assert lock_value(bench.job().document).holder == "op-b"


@pytest.mark.parametrize("value", [None, "me", "/3/0"])
def test_a_lock_that_is_free_or_was_set_by_hand(bench: Bench, operator: ReconcileContext, value: str | None) -> None:
    """A free lock is acquired at once.  So is one that was written by hand, whose holder has no Lease."""
    job = bench.deployed(operator)
    if value is None:
        bench.patch(job.status, {"op": "remove", "path": "/status/lockholder"})
    else:
        bench.set(job.status, "/status/lockholder", value)
    bench.step(bench.operator("op-b"))
    assert lock_value(bench.job().document).holder == "op-b"


def test_of_two_that_take_over_one_wins(bench: Bench, operator: ReconcileContext) -> None:
    """The other operator keeps checking."""
    bench.deployed(operator)
    bench.delete(operator_lease("op-a"))
    two, three = bench.operator("op-b"), bench.operator("op-c")
    bench.meanwhile(patches("mapreducejobs"), lambda: bench.step(three))
    assert bench.step(two) == two.failure_detector.poll
    assert lock_value(bench.job().document).holder == "op-c"


def test_a_take_over_whose_answer_was_lost(bench: Bench, operator: ReconcileContext) -> None:
    """The lock shows it."""
    bench.deployed(operator)
    bench.delete(operator_lease("op-a"))
    bench.lose(patches("mapreducejobs"))
    bench.step(bench.operator("op-b"))
    assert (lock_value(bench.job().document).holder, lock_value(bench.job().document).fence) == ("op-b", 2)


def test_a_take_over_that_is_refused(bench: Bench, operator: ReconcileContext) -> None:
    """An error, not a race."""
    bench.deployed(operator)
    bench.delete(operator_lease("op-a"))
    bench.answer(patches("mapreducejobs"), DENIED)
    with pytest.raises(RequestRefusedError, match="taking over mapreducejobs default/words"):
        bench.step(bench.operator("op-b"))


def test_an_apiserver_that_is_away_makes_no_operator_dead(bench: Bench, operator: ReconcileContext) -> None:
    """While it was away no operator could renew its Lease."""
    bench.deployed(operator)
    other = bench.operator("op-b")
    for _ in range(10):
        bench.now += 2.0
        bench.answer(asks("get", "leases"), UNAVAILABLE)
        assert bench.step(other) == other.failure_detector.poll
    assert lock_value(bench.job().document).holder == "op-a"


def test_a_job_that_is_over_when_it_is_taken_needs_no_step(bench: Bench, operator: ReconcileContext) -> None:
    """The document was old: the patch tests the phase, so it is lost."""
    job = bench.deployed(operator)
    bench.delete(operator_lease("op-a"))
    bench.set(job.status, "/status/phase", "FAIL")
    other = bench.operator("op-b")
    assert bench.run(reconcile(job.document, other)).requeue_after == other.failure_detector.poll
    assert lock_value(bench.job().document).holder == "op-a"
