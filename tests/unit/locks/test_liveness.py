"""When a holder may be called dead: silence for a whole duration, over reads without a gap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubemr.locks import Observation
from kubemr.locks.backoff import Backoff


def observe(*reads: tuple[object, float]) -> Observation:
    """Reads that take no time, of a holder with a duration of 10 s."""
    seen = Observation(10)
    for value, now in reads:
        seen.record(value, now, now)
    return seen


def test_silence_for_the_whole_duration() -> None:
    """Exactly the duration is enough; less is not."""
    assert observe(("a", 0), ("a", 5), ("a", 10)).expired
    assert not observe(("a", 0), ("a", 5), ("a", 9.9)).expired


def test_a_changed_value_starts_again() -> None:
    """Any change is life, also back to an earlier value."""
    assert not observe(("a", 0), ("a", 5), ("b", 9), ("a", 10)).expired
    assert observe(("a", 0), ("b", 3), ("b", 8), ("b", 13)).expired


def test_a_gap_starts_again() -> None:
    """What happened in the gap is unknown."""
    assert not observe(("a", 0), ("a", 5.1), ("a", 10)).expired
    assert not observe(("a", 0), ("a", 1000)).expired


def test_a_failed_read_starts_again() -> None:
    """No process could renew while the server was away."""
    seen = observe(("a", 0), ("a", 5), ("a", 9))
    seen.missed()
    seen.record("a", 10, 10)
    assert not seen.expired
    for now in (14, 18, 20):
        seen.record("a", now, now)
    assert seen.expired


def test_the_time_a_read_takes_counts_for_the_holder() -> None:
    """The window runs from the first answer to the sending of the last question."""
    seen = Observation(10)
    seen.record("a", 0, 3)
    seen.record("a", 5, 6)
    seen.record("a", 10, 14)
    assert not seen.expired
    seen.record("a", 15, 16)
    assert seen.expired


def test_time_without_reads_proves_nothing() -> None:
    """Without a read, no holder is dead."""
    assert not Observation(10).expired


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.1, 20)), max_size=40))
def test_nobody_who_changed_within_the_duration_is_dead(steps: list[tuple[str, float]]) -> None:
    """Whatever the reads: expired means that the last value stood for 10 s in reads at most 5 s apart."""
    seen = Observation(10)
    now = 0.0
    history: list[tuple[str, float]] = []
    for value, pause in steps:
        now += pause
        history.append((value, now))
        seen.record(value, now, now)
        since = now
        for (earlier, at), (_, after) in zip(reversed(history[:-1]), reversed(history), strict=False):
            if earlier != value or after - at > 5:
                break
            since = at
        assert seen.expired is (now - since >= 10)


def test_backoff_doubles_to_its_bound_with_full_jitter() -> None:
    """The draw decides between nothing and the ceiling; a reset starts again; a server's wish is respected."""
    backoff = Backoff(first=1, longest=5)
    assert [backoff.next(0) for _ in range(4)] == [1, 2, 4, 5]
    assert backoff.next(0.5) == 2.5
    backoff.reset()
    assert backoff.next(0.5) == 0.5
    assert backoff.next(0.5, at_least=30) == 31
