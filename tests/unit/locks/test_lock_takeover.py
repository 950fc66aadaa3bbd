"""A dead holder's lock is taken over, a living one's never, by the waiting claimant's own clock."""

from __future__ import annotations

from kubemr.locks import (
    Answer,
    HttpTransport,
    LeaseDetector,
    Lock,
    LockStatus,
    Target,
    acquire,
    renew,
    run,
    try_acquire,
)
from kubemr.locks.effects import UNKNOWN, Request
from support.gadgets import LEASES, Gadgets
from support.locktime import NoWatch, Scripted, VirtualTime


def test_a_killed_holder_is_succeeded_after_the_duration(
    gadgets: Gadgets, transport: HttpTransport, time: VirtualTime
) -> None:
    """Takeover comes after one whole duration of silence and soon after it, with a higher fence; the old one is out."""
    target = gadgets.create()
    old = run(try_acquire(Lock(target, "/lockholder", "old", 10)), transport).acquisition
    assert old is not None
    result = time.run(acquire(Lock(target, "/lockholder", "new", 10)), NoWatch(transport, time))
    assert result.acquisition is not None
    assert result.acquisition.fence == old.fence + 1
    assert 10 <= time.now - 1000 <= 15
    assert run(renew(old), transport).status is LockStatus.LOST


def test_a_plain_string_is_a_holder_that_never_renews(
    gadgets: Gadgets, transport: HttpTransport, time: VirtualTime
) -> None:
    """The seed's "me" is waited for, then succeeded."""
    target = gadgets.create(lockholder="me")
    result = time.run(acquire(Lock(target, "/lockholder", "new", 10)), NoWatch(transport, time))
    assert result.acquisition is not None
    assert result.acquisition.fence == 1
    assert time.now - 1000 >= 10


def test_a_holder_that_renews_keeps_its_lock(gadgets: Gadgets, transport: HttpTransport, time: VirtualTime) -> None:
    """However long others wait."""
    target = gadgets.create()
    held = run(try_acquire(Lock(target, "/lockholder", "old", 10)), transport).acquisition
    assert held is not None
    waiting = NoWatch(transport, time)
    renewed_at = [time.now]

    def renew_in_time(request: Request) -> None:
        nonlocal held
        if time.now - renewed_at[0] >= 2.5:
            assert held is not None
            held = run(renew(held), transport).acquisition
            renewed_at[0] = time.now

    waiting.before = renew_in_time
    result = time.run(acquire(Lock(target, "/lockholder", "new", 10), timeout=200), waiting)
    assert result.status is LockStatus.LOST
    assert time.now - 1000 >= 200


def test_silence_of_the_apiserver_is_not_silence_of_the_holder(
    gadgets: Gadgets, transport: HttpTransport, time: VirtualTime
) -> None:
    """A failed read starts the window again: no process could renew while the server was away."""
    target = gadgets.create()
    run(try_acquire(Lock(target, "/lockholder", "old", 10)), transport)

    class Flaky(NoWatch):
        failed_at = 0.0

        def send(self, request: Request) -> Answer:
            if not self.failed_at and time.now >= 1008:
                self.failed_at = time.now
                return Answer(UNKNOWN, error="away")
            return super().send(request)

    flaky = Flaky(transport, time)
    assert time.run(acquire(Lock(target, "/lockholder", "new", 10)), flaky).won
    assert time.now - flaky.failed_at >= 10


def test_a_renewal_that_comes_just_before_the_takeover_wins(
    gadgets: Gadgets, transport: HttpTransport, time: VirtualTime
) -> None:
    """The takeover's patch tests the whole string as it was seen, so it fails, and the window starts again."""
    target = gadgets.create()
    held = run(try_acquire(Lock(target, "/lockholder", "old", 10)), transport).acquisition
    waiting = NoWatch(transport, time)
    takeovers: list[float] = []

    def renew_at_the_last_moment(request: Request) -> None:
        if request.verb == "patch":
            takeovers.append(time.now)
            if len(takeovers) == 1:
                assert held is not None
                assert run(renew(held), transport).won

    waiting.before = renew_at_the_last_moment
    assert time.run(acquire(Lock(target, "/lockholder", "new", 10)), waiting).won
    assert takeovers[1] - takeovers[0] >= 10


def test_waiting_ends_when_the_time_is_over(gadgets: Gadgets, transport: HttpTransport, time: VirtualTime) -> None:
    """LOST, with the holder's name, and not before the timeout."""
    target = gadgets.create(lockholder="me")
    result = time.run(acquire(Lock(target, "/lockholder", "new", 10), timeout=3), NoWatch(transport, time))
    assert result.status is LockStatus.LOST
    assert result.value is not None
    assert result.value.holder == "me"
    assert time.now - 1000 == 3


def test_no_answer_in_the_time_given_is_unknown(time: VirtualTime) -> None:
    """The patch may have landed."""
    away = Scripted([Answer(UNKNOWN, error="away")] * 100)
    target = Target(LEASES, "n", "x")
    assert time.run(acquire(Lock(target, "/lock", "me"), timeout=5), away).status is LockStatus.UNKNOWN
    assert time.now - 1000 <= 6


def test_a_lease_that_is_renewed_keeps_all_locks_of_its_holder(
    gadgets: Gadgets, transport: HttpTransport, time: VirtualTime
) -> None:
    """The lock's own string never changes; the Lease's renewTime does, until its holder dies."""
    lease = gadgets.create(LEASES, spec={"holderIdentity": "old", "renewTime": renew_time(0)})
    target = gadgets.create()
    run(try_acquire(Lock(target, "/lockholder", "old", 10)), transport)
    waiting = NoWatch(transport, time)
    renewals = iter(range(1, 9))
    dies_at = []

    def renew_lease(request: Request) -> None:
        if request.resource == LEASES:
            number = next(renewals, None)
            if number is None:
                dies_at.append(time.now)
            else:
                gadgets.patch(lease, {"op": "replace", "path": "/spec/renewTime", "value": renew_time(number)})

    waiting.before = renew_lease
    detector = LeaseDetector(lambda identity: lease, 10)
    result = time.run(acquire(Lock(target, "/lockholder", "new", 10), detector), waiting)
    assert result.won
    assert time.now - dies_at[0] >= 7.5
    assert time.now - 1000 >= 10 + 7 * 1.25


def test_who_is_not_its_leases_holder_is_dead_at_once(
    gadgets: Gadgets, transport: HttpTransport, time: VirtualTime
) -> None:
    """A Lease given up, taken by another, or deleted: no waiting."""
    lease = gadgets.create(LEASES, spec={"holderIdentity": "someone"})
    target = gadgets.create(lockholder="old/4/0")
    detector = LeaseDetector(lambda identity: lease, 10)
    result = time.run(try_acquire(Lock(target, "/lockholder", "new", 10), detector), NoWatch(transport, time))
    assert result.acquisition is not None
    assert result.acquisition.fence == 5
    assert time.now == 1000


def test_a_lease_is_read_once_for_many_locks(gadgets: Gadgets, transport: HttpTransport, time: VirtualTime) -> None:
    """Looking at a hundred locks of one holder at once costs one read of its Lease."""
    lease = gadgets.create(LEASES, spec={"holderIdentity": "old", "renewTime": renew_time(0)})
    detector = LeaseDetector(lambda identity: lease, 10)
    target = gadgets.create(lockholder="old/4/0")
    looking = NoWatch(transport, time)
    lock = Lock(target, "/lockholder", "new", 10)
    for _ in range(10):
        assert time.run(try_acquire(lock, detector), looking).status is LockStatus.LOST
    assert [request.resource for request in looking.requests].count(LEASES) == 1


def test_holders_nobody_asks_about_are_forgotten(gadgets: Gadgets, transport: HttpTransport, time: VirtualTime) -> None:
    """A detector that runs for months does not keep every identity; if one returns, it starts a new window."""
    lease = gadgets.create(LEASES, spec={"holderIdentity": "a", "renewTime": renew_time(0)})
    detector = LeaseDetector(lambda identity: lease, 10)
    looking = NoWatch(transport, time)
    first, second = gadgets.create(lockholder="a/1/0"), gadgets.create(lockholder="b/1/0")
    lock = Lock(first, "/lockholder", "new", 10)
    assert time.run(try_acquire(lock, detector), looking).status is LockStatus.LOST
    time.now += 11
    assert time.run(try_acquire(Lock(second, "/lockholder", "new", 10), detector), looking).won
    assert time.run(try_acquire(lock, detector), looking).status is LockStatus.LOST


def test_a_lease_that_cannot_be_read_condemns_nobody(
    gadgets: Gadgets, transport: HttpTransport, time: VirtualTime
) -> None:
    """Nor does a lock that cannot be read."""
    detector = LeaseDetector(lambda identity: Target(LEASES, "n", "x"), 10)
    shown = Answer(200, {"metadata": {"uid": "u", "resourceVersion": "1"}, "lock": "old/1/0"})
    away = Answer(503, error="away")
    lock = Lock(Target(LEASES, "n", "y"), "/lock", "new", 10)
    assert time.run(try_acquire(lock, detector), Scripted([away, shown, away])).status is LockStatus.LOST


def renew_time(second: int) -> str:
    """A Kubernetes MicroTime."""
    return f"2025-01-01T00:00:{second:02}.000000Z"
