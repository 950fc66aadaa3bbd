"""A worker's Lease: taken by a conditional patch, renewed, released, and lost."""

from __future__ import annotations

import socket

import pytest

from kubemr.locks import HttpTransport, RequestRefusedError, Server, run
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Answer
from kubemr.locks.lease import LEASES, LeaseLostError, keep_renewed, release, renew, take
from kubemr.tasks.state import Token
from support.bench import DENIED, LOST_ANSWER, UNAVAILABLE, Bench, asks, patches
from support.rawserver import RawServer, read_request, reply, serving, until_client_leaves

A, B = Token("w0-aaaaaa"), Token("w0-bbbbbb")
LEASE = Target(LEASES, "default", "words-w-0")
leases = patches("leases")


@pytest.fixture
def spec(bench: Bench) -> object:
    """The Lease exists, without a holder."""
    return bench.create(LEASES, {"metadata": {"name": LEASE.name}, "spec": {"leaseDurationSeconds": 15}})


def holder(bench: Bench) -> str | None:
    """Who holds it."""
    found = bench.get(LEASE)["spec"].get("holderIdentity")
    return None if found is None else str(found)


@pytest.mark.usefixtures("spec")
def test_taking_names_the_holder_and_counts(bench: Bench) -> None:
    """The holder before is dead from this moment, without any wait."""
    lease = bench.run(take(LEASE, A, bench.micro_timestamp))
    assert lease["spec"]["holderIdentity"] == A
    assert lease["spec"]["leaseTransitions"] == 1
    assert lease["spec"]["acquireTime"] == lease["spec"]["renewTime"]
    again = bench.run(take(LEASE, B, bench.micro_timestamp))
    assert (again["spec"]["holderIdentity"], again["spec"]["leaseTransitions"]) == (B, 2)
    assert bench.slept == []


@pytest.mark.usefixtures("spec")
def test_two_that_take_at_once_both_become_the_holder_one_after_the_other(bench: Bench) -> None:
    """The one that was slower finds the other and takes it from him."""
    bench.meanwhile(leases, lambda: bench.set(LEASE, "/spec/holderIdentity", B))
    bench.run(take(LEASE, A, bench.micro_timestamp))
    assert holder(bench) == A
    assert [request.verb for request in bench.requests] == ["get", "patch", "get", "get", "patch"]


@pytest.mark.usefixtures("spec")
def test_taking_survives_lost_answers(bench: Bench) -> None:
    """The own token is there: taken, once."""
    bench.lose(leases)
    bench.answer(asks("get", "leases"), UNAVAILABLE)
    assert bench.run(take(LEASE, A, bench.micro_timestamp))["spec"]["leaseTransitions"] == 1


def test_there_is_no_lease_to_take(bench: Bench) -> None:
    """The job is over, or was never deployed."""
    with pytest.raises(LeaseLostError, match="leases default/words-w-0 does not exist"):
        bench.run(take(LEASE, A, bench.micro_timestamp))


@pytest.mark.usefixtures("spec")
def test_a_lease_that_goes_while_it_is_taken(bench: Bench) -> None:
    """Or may not be changed."""
    bench.answer(leases, DENIED)
    with pytest.raises(RequestRefusedError, match="patching leases default/words-w-0"):
        bench.run(take(LEASE, A, bench.micro_timestamp))
    bench.meanwhile(leases, lambda: bench.delete(LEASE))
    with pytest.raises(LeaseLostError):
        bench.run(take(LEASE, A, bench.micro_timestamp))


@pytest.mark.usefixtures("spec")
def test_a_renewal_tests_the_own_token(bench: Bench) -> None:
    """Who is no longer the holder stops."""
    bench.run(take(LEASE, A, bench.micro_timestamp))
    bench.run(renew(LEASE, A, "2026-02-02T00:00:00.000000Z"))
    assert bench.get(LEASE)["spec"]["renewTime"] == "2026-02-02T00:00:00.000000Z"
    bench.run(take(LEASE, B, bench.micro_timestamp))
    with pytest.raises(LeaseLostError, match=f"is held by {B}, not by {A}"):
        bench.run(renew(LEASE, A, "2026-02-02T00:00:01.000000Z"))


@pytest.mark.usefixtures("spec")
def test_a_renewal_whose_answer_was_lost(bench: Bench) -> None:
    """It is sent again, whether it landed or not: a read would cost as much."""
    bench.run(take(LEASE, A, bench.micro_timestamp))
    bench.requests.clear()
    bench.lose(leases)
    bench.run(renew(LEASE, A, "2026-02-02T00:00:00.000000Z"))
    assert [request.verb for request in bench.requests] == ["patch", "patch"]
    bench.answer(leases, LOST_ANSWER)
    bench.run(renew(LEASE, A, "2026-02-02T00:00:01.000000Z"))
    assert bench.get(LEASE)["spec"]["renewTime"] == "2026-02-02T00:00:01.000000Z"


@pytest.mark.usefixtures("spec")
def test_a_renewal_whose_answer_was_lost_before_another_took_the_lease(bench: Bench) -> None:
    """The test of the second one fails, and the Lease says who holds it."""
    bench.run(take(LEASE, A, bench.micro_timestamp))
    bench.lose(leases)
    bench.meanwhile(leases, lambda: bench.run(take(LEASE, B, bench.micro_timestamp)))
    with pytest.raises(LeaseLostError, match=f"is held by {B}, not by {A}"):
        bench.run(renew(LEASE, A, "2026-02-02T00:00:00.000000Z"))


@pytest.mark.usefixtures("spec")
def test_a_renewal_whose_test_is_said_to_fail_though_it_holds(bench: Bench) -> None:
    """Once may be a proxy that sends things twice; twice it is a refusal."""
    bench.run(take(LEASE, A, bench.micro_timestamp))
    failed = Answer(422, {"kind": "Status", "reason": "Invalid", "message": "no"})
    bench.answer(leases, failed)
    bench.run(renew(LEASE, A, "2026-02-02T00:00:00.000000Z"))
    bench.answer(leases, failed, failed)
    with pytest.raises(RequestRefusedError, match="renewing leases default/words-w-0"):
        bench.run(renew(LEASE, A, "2026-02-02T00:00:01.000000Z"))


@pytest.mark.usefixtures("spec")
def test_a_renewal_may_be_forbidden(bench: Bench) -> None:
    """The Lease is not renewed then."""
    bench.run(take(LEASE, A, bench.micro_timestamp))
    bench.answer(leases, DENIED)
    with pytest.raises(RequestRefusedError, match="renewing leases default/words-w-0"):
        bench.run(renew(LEASE, A, "2026-02-02T00:00:00.000000Z"))


def test_a_renewal_of_a_lease_that_is_gone(bench: Bench) -> None:
    """404 means stop."""
    with pytest.raises(LeaseLostError, match="does not exist"):
        bench.run(renew(LEASE, A, "2026-02-02T00:00:00.000000Z"))


@pytest.mark.usefixtures("spec")
def test_a_release_frees_the_lease_only_if_it_is_the_own(bench: Bench) -> None:
    """Not holding it, or there being none, is fine."""
    bench.run(take(LEASE, A, bench.micro_timestamp))
    bench.run(release(LEASE, B))
    assert holder(bench) == A
    bench.lose(leases)
    bench.run(release(LEASE, A))
    assert holder(bench) is None
    bench.answer(leases, DENIED)
    with pytest.raises(RequestRefusedError, match="releasing leases default/words-w-0"):
        bench.run(release(LEASE, A))
    bench.delete(LEASE)
    bench.run(release(LEASE, A))


@pytest.mark.usefixtures("spec")
@pytest.mark.parametrize("uniform", [0.0, 0.5, 0.999])
def test_keeping_renews_at_least_four_times_per_duration(bench: Bench, uniform: float) -> None:
    """Whatever the jitter; it ends by itself when the loop is no longer alive."""
    bench.uniform = lambda: uniform
    bench.run(take(LEASE, A, bench.micro_timestamp))
    left = [8]

    def alive() -> bool:
        left[0] -= 1
        return left[0] >= 0

    before = bench.get(LEASE)["metadata"]["resourceVersion"]
    bench.run(keep_renewed(LEASE, A, 10.0, alive=alive, now_string=bench.micro_timestamp))
    assert int(bench.get(LEASE)["metadata"]["resourceVersion"]) == int(before) + 8
    assert all(2.0 <= pause <= 2.5 for pause in bench.slept)
    assert sum(bench.slept[:4]) <= 10.0


@pytest.mark.usefixtures("spec")
def test_keeping_ends_when_another_takes_the_lease(bench: Bench) -> None:
    """At the next renewal."""
    bench.run(take(LEASE, A, bench.micro_timestamp))
    bench.run(take(LEASE, B, bench.micro_timestamp))
    with pytest.raises(LeaseLostError):
        bench.run(keep_renewed(LEASE, A, 10.0, alive=lambda: True, now_string=bench.micro_timestamp))
    assert len(bench.slept) == 1


@pytest.mark.usefixtures("spec")
@pytest.mark.parametrize("duration", [2.0, 15.0])
def test_after_an_outage_the_lease_is_renewed_within_an_interval(bench: Bench, duration: float) -> None:
    """However long it lasted: who is quicker to see the apiserver back sees a sign of life before the Lease expires."""
    bench.uniform = lambda: 0.0  # the longest waits
    bench.run(take(LEASE, A, bench.micro_timestamp))
    bench.answer(lambda request: True, *[Answer(503)] * 40)
    alive = iter([True, False])
    bench.run(keep_renewed(LEASE, A, duration, alive=lambda: next(alive), now_string=bench.micro_timestamp))
    outage = bench.slept[1:-1]
    assert len(outage) == 40
    assert max(outage) <= duration / 4


@pytest.mark.usefixtures("spec")
def test_a_busy_apiserver_may_ask_for_more_time_than_the_lease_has(bench: Bench) -> None:
    """The renewal is sent again within an interval, and no read: reads are served from another priority level."""
    bench.run(take(LEASE, A, bench.micro_timestamp))
    bench.requests.clear()
    bench.answer(leases, *[Answer(429, retry_after=32.0)] * 3)
    alive = iter([True, False])
    bench.run(keep_renewed(LEASE, A, 15.0, alive=lambda: next(alive), now_string=bench.micro_timestamp))
    assert [request.verb for request in bench.requests] == ["patch"] * 4
    assert max(bench.slept) <= 15.0 / 4


@pytest.mark.usefixtures("spec")
def test_no_request_of_a_renewal_lasts_longer_than_an_interval(bench: Bench) -> None:
    """Nor the read that finds out who holds the Lease."""
    bench.run(take(LEASE, A, bench.micro_timestamp))
    bench.requests.clear()
    bench.meanwhile(leases, lambda: bench.set(LEASE, "/spec/holderIdentity", B))
    with pytest.raises(LeaseLostError):
        bench.run(keep_renewed(LEASE, A, 10.0, alive=lambda: True, now_string=bench.micro_timestamp))
    assert [(request.verb, request.timeout) for request in bench.requests] == [("patch", 2.5), ("get", 2.5)]


def test_a_connection_that_has_gone_silent_is_given_up_for_another(bench: Bench) -> None:
    """As after the loss of an apiserver's node, which closes no connection."""

    def silent(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(reply())
        until_client_leaves(peer)

    server = RawServer(silent, serving(reply()))
    alive = iter([True, True, False])
    try:
        with HttpTransport(Server(server.url)) as transport:
            run(keep_renewed(LEASE, A, 1.0, alive=lambda: next(alive), now_string=bench.micro_timestamp), transport)
    finally:
        server.close()
    assert server.connections == 2
