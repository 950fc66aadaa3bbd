"""How a claimant waits for a held lock: by a watch where there is one, never in a hot loop."""

from __future__ import annotations

import pytest

from kubemr.locks import Answer, Lock, LockStatus, RequestRefusedError, Resource, Target, acquire, try_acquire
from kubemr.locks.effects import Watch, WatchEvent
from support.locktime import Scripted, VirtualTime

TARGET = Target(Resource("example.com", "v1", "gadgets"), "default", "g")


def shows(value: str, version: int = 1) -> Answer:
    """The object with `value` at /lock."""
    return Answer(200, {"metadata": {"uid": "u", "resourceVersion": str(version)}, "lock": value})


def event(value: str, version: int, kind: str = "MODIFIED") -> WatchEvent:
    """The same as an event."""
    return WatchEvent(kind, shows(value, version).body)


def test_a_release_seen_by_the_watch_is_followed_by_an_attempt(time: VirtualTime) -> None:
    """Within a few hundredths of a second, spread at random over all who wait."""
    script = Scripted([shows("old/1/5"), shows("/1/0", 2), shows("me/2/500000", 3)])
    script.events = [event("/1/0", 2)]
    assert time.run(acquire(Lock(TARGET, "/lock", "me", 8)), script).won
    assert time.slept == [0.025]


def test_a_renewal_seen_by_the_watch_does_not_wake_anybody(time: VirtualTime) -> None:
    """The watch goes on from the event's version, and nothing is read."""
    script = Scripted([shows("old/1/5"), shows("/1/0", 4), shows("me/2/500000", 5)])
    script.events = [event("old/1/6", 2), event("old/1/7", 3), event("/1/0", 4)]
    assert time.run(acquire(Lock(TARGET, "/lock", "me", 8)), script).won
    watches = [effect for effect in script.seen if isinstance(effect, Watch)]
    assert [watch.resource_version for watch in watches] == ["1", "2", "3"]
    assert watches[0].field_selector == "metadata.name=g"


@pytest.mark.parametrize("seen", [None, WatchEvent("ERROR", {"kind": "Status", "code": 410})])
def test_a_watch_that_ends_early_is_slept_out(time: VirtualTime, seen: WatchEvent | None) -> None:
    """A server without watches, or that does not have the version, gets no burst of requests."""
    script = Scripted([shows("old/1/5"), shows("/1/0", 2), shows("me/2/500000", 3)])
    script.events = [seen]
    assert time.run(acquire(Lock(TARGET, "/lock", "me", 8)), script).won
    assert time.slept == [1.5]


def test_a_deletion_ends_the_wait(time: VirtualTime) -> None:
    """The next read finds the object gone."""
    script = Scripted([shows("old/1/5"), Answer(404)])
    script.events = [event("old/1/5", 2, "DELETED")]
    assert time.run(acquire(Lock(TARGET, "/lock", "me", 8)), script).status is LockStatus.GONE


def test_a_denied_read_is_an_error(time: VirtualTime) -> None:
    """It says which object, and the server's reason."""
    denied = Answer(403, {"kind": "Status", "reason": "Forbidden", "message": "no right to get gadgets"})
    with pytest.raises(RequestRefusedError, match=r"reading gadgets default/g.*no right to get"):
        time.run(acquire(Lock(TARGET, "/lock", "me", 8)), Scripted([denied]))


def test_an_object_deleted_between_read_and_patch_is_gone(time: VirtualTime) -> None:
    """Its 404 is checked by another read."""
    script = Scripted([shows("/1/0"), Answer(404), Answer(404)])
    assert time.run(acquire(Lock(TARGET, "/lock", "me", 8)), script).status is LockStatus.GONE


def test_a_read_that_fails_is_repeated(time: VirtualTime) -> None:
    """With a pause, also without a failure detector."""
    script = Scripted([Answer(503), Answer(429, retry_after=4), shows("/1/0"), shows("me/2/500000", 2)])
    assert time.run(try_acquire(Lock(TARGET, "/lock", "me", 8)), script).won
    assert time.slept[1] > 4


def test_no_time_to_wait_is_no_wait(time: VirtualTime) -> None:
    """A timeout that ran out during the attempt itself: LOST, and no watch is opened."""

    def slowly(request: object) -> Answer:
        time.now += 5
        return shows("old/1/5")

    script = Scripted([slowly])
    assert time.run(acquire(Lock(TARGET, "/lock", "me", 40), timeout=5), script).status is LockStatus.LOST
    assert not [effect for effect in script.seen if isinstance(effect, Watch)]
