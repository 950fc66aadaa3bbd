"""A denial is an error only if it lasts: an apiserver that was just started denies requests that it allows later."""

from __future__ import annotations

import pytest

from kubemr.locks import RequestRefusedError
from kubemr.locks.conditional import read
from kubemr.locks.effects import Answer
from kubemr.locks.lease import LEASES, keep_renewed, take
from kubemr.tasks.state import Token
from kubemr.worker.retry_forbidden import LONGEST_SECONDS, PATIENCE_SECONDS, retry_forbidden
from kubemr.worker.scheduling.identity import ExitReason
from support.bench import DENIED, Bench, asks, patches
from support.planned import worker_of

UNKNOWN_TOKEN = Answer(401, {"kind": "Status", "reason": "Unauthorized"})


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


@pytest.mark.parametrize("denial", [DENIED, UNKNOWN_TOKEN], ids=["403", "401"])
@pytest.mark.parametrize(
    "request_", ["get mapreducejobs", "get leases", "patch mapreducetaskshards", "patch mapreducejobs"]
)
def test_a_job_is_done_by_a_worker_that_is_denied_for_a_while(bench: Bench, request_: str, denial: Answer) -> None:
    """A denied request of any kind is sent again, and nothing is lost or fails."""
    job = bench.deployed(inputs=list("abc"), partitions=1)
    verb, plural = request_.split()
    worker, _ = worker_of(bench, job)
    bench.answer(patches(plural) if verb == "patch" else asks(verb, plural), *[denial] * 5)
    assert bench.run(retry_forbidden(worker.run())) is ExitReason.COMPLETE
    states = bench.shard(job).tasks.values()
    assert {(state.committed, state.epoch, state.failures, state.losses) for state in states} == {(True, 1, 0, 0)}


def test_a_denial_that_lasts_is_an_error(bench: Bench) -> None:
    """It names the rejected request, after `PATIENCE_SECONDS` at most."""
    job = bench.deployed()
    worker, _ = worker_of(bench, job)
    bench.answer(asks("get", "mapreducejobs"), *[DENIED] * 1000)
    began = bench.now
    with pytest.raises(RequestRefusedError, match=r"reading mapreducejobs default/words: .* 403"):
        bench.run(retry_forbidden(worker.run()))
    assert PATIENCE_SECONDS - LONGEST_SECONDS <= bench.now - began <= PATIENCE_SECONDS


def test_each_request_has_its_own_deadline(bench: Bench) -> None:
    """Denied for most of the time twice, and allowed in between."""
    job = bench.deployed()
    bench.uniform = lambda: 0.0
    began = bench.now
    for _ in range(2):
        bench.answer(asks("get", "mapreducejobs"), *[DENIED] * 11)
        assert bench.run(retry_forbidden(read(job.target)))["metadata"]["name"] == job.name
    assert bench.now - began > PATIENCE_SECONDS


def test_a_renewal_that_is_denied_is_tried_again_within_the_given_time(bench: Bench) -> None:
    """So that observers see its heartbeats in time."""
    token = Token("w0-aaaaaa")
    job = bench.deployed()
    lease = job.lease_of(0)
    bench.run(take(lease, token, bench.micro_timestamp))
    bench.slept.clear()
    bench.uniform = lambda: 0.0
    bench.answer(patches(LEASES.plural), *[DENIED] * 10)
    alive = iter([True, False])
    renewals = keep_renewed(lease, token, 2.0, alive=lambda: next(alive), now_string=bench.micro_timestamp)
    bench.run(retry_forbidden(renewals, 0.5))
    assert len(bench.slept) == 12
    assert max(bench.slept) <= 0.5
