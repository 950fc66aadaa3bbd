"""Who is dead: not the holder of one's Lease, or silent for a whole duration of uninterrupted reads."""

from __future__ import annotations

import pytest

from kubemr.locks.conditional import Target
from kubemr.locks.lease import LEASES, LeaseFailureDetector, duration_of
from kubemr.tasks.state import Token, parse_token
from support.bench import LOST_ANSWER, UNAVAILABLE, Bench, asks

A, B, OTHER = Token("w0-aaaaaa"), Token("w1-bbbbbb"), Token("w0-zzzzzz")
DURATION = 8.0


def lease_of(token: Token) -> Target:
    """By index."""
    return Target(LEASES, "default", f"words-w-{parse_token(token)[0]}")


@pytest.fixture
def detector(bench: Bench) -> LeaseFailureDetector:
    """A and B hold their Leases."""
    for token in (A, B):
        spec = {"holderIdentity": token, "renewTime": "2026-01-01T00:00:00.000000Z"}
        bench.create(LEASES, {"metadata": {"name": lease_of(token).name}, "spec": spec})
    return LeaseFailureDetector(lease_of, DURATION)


def renew(bench: Bench, token: Token) -> None:
    """A sign of life."""
    bench.set(lease_of(token), "/spec/renewTime", bench.micro_timestamp())


def find_dead_after(bench: Bench, detector: LeaseFailureDetector, seconds: float, *tokens: Token) -> set[Token]:
    """Some time passes, then one look."""
    bench.now += seconds
    return bench.run(detector.find_dead(tokens))


def test_silence_for_the_whole_duration_is_death(bench: Bench, detector: LeaseFailureDetector) -> None:
    """Of the silent one only."""
    for _ in range(4):
        assert find_dead_after(bench, detector, 2.0, A, B) == set()
        renew(bench, B)
    assert find_dead_after(bench, detector, 2.0, A, B) == {A}


def test_the_time_in_the_lease_is_never_compared(bench: Bench, detector: LeaseFailureDetector) -> None:
    """A renewTime of last year, or of next year, is a sign of life like any other when it changes."""
    for year in (2020, 2031, 2020, 2031, 2020, 2031):
        bench.set(lease_of(A), "/spec/renewTime", f"{year}-01-01T00:00:00.000000Z")
        assert find_dead_after(bench, detector, 3.0, A) == set()


def test_who_is_not_the_holder_is_dead_at_once(bench: Bench, detector: LeaseFailureDetector) -> None:
    """A restarted worker has taken over; or the Lease was given up; or there is none."""
    assert find_dead_after(bench, detector, 0.0, OTHER) == {OTHER}
    bench.patch(lease_of(A), {"op": "remove", "path": "/spec/holderIdentity"})
    assert find_dead_after(bench, detector, 0.0, A) == {A}
    bench.delete(lease_of(B))
    assert find_dead_after(bench, detector, 0.0, B) == {B}


def test_a_failed_read_starts_the_window_again(bench: Bench, detector: LeaseFailureDetector) -> None:
    """No process could renew while the apiserver was away: none is dead before a whole duration has passed after it."""
    for _ in range(4):
        find_dead_after(bench, detector, 2.0, A)
    for problem in (UNAVAILABLE, LOST_ANSWER):
        bench.answer(asks("get", "leases"), problem)
        assert find_dead_after(bench, detector, 2.0, A) == set()
    for _ in range(4):
        assert find_dead_after(bench, detector, 2.0, A) == set()
    assert find_dead_after(bench, detector, 2.0, A) == {A}


def test_a_gap_in_the_reads_starts_the_window_again(bench: Bench, detector: LeaseFailureDetector) -> None:
    """The observer itself was paused, or had other things to do."""
    find_dead_after(bench, detector, 2.0, A)
    assert find_dead_after(bench, detector, 100.0, A) == set()
    for _ in range(3):
        assert find_dead_after(bench, detector, 2.0, A) == set()
    assert find_dead_after(bench, detector, 2.0, A) == {A}


def test_who_was_not_asked_about_for_a_while_is_forgotten(bench: Bench, detector: LeaseFailureDetector) -> None:
    """So nothing is kept of workers that are gone."""
    find_dead_after(bench, detector, 2.0, A, B)
    find_dead_after(bench, detector, 2.0, B)
    find_dead_after(bench, detector, 2.5, B)
    assert find_dead_after(bench, detector, 1.0, A, B) == set()
    assert find_dead_after(bench, detector, 2.5, A, B) == {B}


def test_looks_at_different_workers_do_not_disturb_each_other(bench: Bench, detector: LeaseFailureDetector) -> None:
    """Two parts of an operator ask about one worker each, in turn: both windows stay open."""
    for _ in range(4):
        assert find_dead_after(bench, detector, 1.0, A) == set()
        assert find_dead_after(bench, detector, 1.0, B) == set()
    assert find_dead_after(bench, detector, 1.0, A) == {A}
    assert find_dead_after(bench, detector, 1.0, B) == {B}


def test_a_lease_is_judged_by_its_own_duration(bench: Bench, detector: LeaseFailureDetector) -> None:
    """It may be longer than the observer's, in a job of many workers; fractions of a second are the observer's."""
    bench.set(lease_of(A), "/spec/leaseDurationSeconds", 20)
    bench.set(lease_of(B), "/spec/leaseDurationSeconds", 8)
    for _ in range(4):
        assert find_dead_after(bench, detector, 2.0, A, B) == set()
    assert find_dead_after(bench, detector, 2.0, A, B) == {B}
    for _ in range(5):
        assert find_dead_after(bench, detector, 2.0, A) == set()
    assert find_dead_after(bench, detector, 2.0, A) == {A}
    assert duration_of({"spec": {"leaseDurationSeconds": 2}}, 1.6) == 1.6
    assert duration_of({"spec": {}}, 1.6) == 1.6
    assert duration_of({"spec": {"leaseDurationSeconds": 3}}, 1.6) == 3.0


def test_a_slow_answer_does_not_lengthen_the_window(bench: Bench, detector: LeaseFailureDetector) -> None:
    """It opens with the first answer and closes with the last question."""

    def slow(request: object) -> None:
        bench.now += 1.0

    bench.before.append(slow)
    for _ in range(3):
        assert find_dead_after(bench, detector, 2.0, A) == set()  # received at 3 s; sent at 5 s; sent at 8 s
    assert find_dead_after(bench, detector, 1.5, A) == set()  # sent at 10.5 s, received at 11.5 s: 7.5 s unchanged
    assert find_dead_after(bench, detector, 0.0, A) == {A}


def test_each_lease_is_read_once(bench: Bench, detector: LeaseFailureDetector) -> None:
    """However often a token is named."""
    find_dead_after(bench, detector, 0.0, A, B, A)
    assert len(bench.requests) == 2
