"""`with held(...)`: renewed beside the block, released at its end, its loss never silent."""

from __future__ import annotations

import threading

import pytest

from kubemr.locks import (
    Answer,
    HeldLock,
    HttpTransport,
    Lock,
    LockLostError,
    LockNotAcquiredError,
    LockStatus,
    Patch,
    RequestRefusedError,
    Resource,
    Stop,
    StoppedError,
    Target,
    hold,
    try_acquire,
)
from kubemr.locks.effects import UNKNOWN, Request
from support.gadgets import Gadgets
from support.locktime import Scripted, VirtualTime

TARGET = Target(Resource("example.com", "v1", "gadgets"), "default", "g")
TAKEN = {"op": "replace", "path": "/lockholder", "value": "you/2/0"}


def test_the_block_holds_the_lock_and_gives_it_back(gadgets: Gadgets, transport: HttpTransport) -> None:
    """Inside it is held, with its fence; afterwards it is free."""
    target = gadgets.create()
    with hold(Lock(target, "/lockholder", "me"), transport) as held_lock:
        assert held_lock.fence == 1
        held_lock.check()
        assert gadgets.get(target)["lockholder"].startswith("me/1/")
    assert gadgets.get(target)["lockholder"] == "/1/0"


def test_it_is_renewed_beside_the_block(gadgets: Gadgets, transport: HttpTransport) -> None:
    """A real thread with real time: the string changes while the block only waits for that."""
    target = gadgets.create()
    lock = Lock(target, "/lockholder", "me", 1.0)
    with hold(lock, transport) as held_lock:
        before = gadgets.get(target)["lockholder"]
        while gadgets.get(target)["lockholder"] == before:
            held_lock.check()
    assert gadgets.get(target)["lockholder"] == "/1/0"


def test_a_write_goes_through_the_lock(gadgets: Gadgets, transport: HttpTransport) -> None:
    """And counts as a renewal."""
    target = gadgets.create()
    with hold(Lock(target, "/lockholder", "me"), transport) as held_lock:
        before = gadgets.get(target)["lockholder"]
        assert held_lock.write(Patch().add("/made", 1)).won
        assert held_lock.write(Patch().test("/made", 2).add("/made", 3)).status is LockStatus.LOST
        shown = gadgets.get(target)
        assert shown["made"] == 1
        assert shown["lockholder"] != before


def test_a_loss_is_signalled_inside_and_raised_at_the_end(gadgets: Gadgets, transport: HttpTransport) -> None:
    """`lost` is set, check and write raise, and so does the end of the block; the successor's lock is left alone."""
    target = gadgets.create()

    def block() -> None:
        with hold(Lock(target, "/lockholder", "me", 1.0), transport) as held_lock:
            gadgets.patch(target, TAKEN)
            assert held_lock.lost.wait(30)
            with pytest.raises(LockLostError, match=r"fence 1.*you/2/0"):
                held_lock.check()
            with pytest.raises(LockLostError):
                held_lock.write(Patch())

    with pytest.raises(LockLostError, match=r"lost by me \(fence 1\): now 'you/2/0'"):
        block()
    assert gadgets.get(target)["lockholder"] == "you/2/0"


def test_an_error_in_the_block_releases_and_is_passed_on(gadgets: Gadgets, transport: HttpTransport) -> None:
    """As with any `with`."""
    target = gadgets.create()

    def block() -> None:
        with hold(Lock(target, "/lockholder", "me"), transport):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    assert gadgets.get(target)["lockholder"] == "/1/0"


def test_not_acquired_in_time(gadgets: Gadgets, transport: HttpTransport) -> None:
    """The error names the holder."""
    target = gadgets.create(lockholder="you/7/0")
    context = hold(Lock(target, "/lockholder", "me"), transport, timeout=0.05)
    with pytest.raises(LockNotAcquiredError, match="not acquired by me: lost, held by you") as caught:
        context.__enter__()
    assert caught.value.result.status is LockStatus.LOST


def test_an_object_that_does_not_exist(gadgets: Gadgets, transport: HttpTransport) -> None:
    """Nothing to lock."""
    target = gadgets.create()
    gadgets.delete(target)
    with pytest.raises(LockNotAcquiredError, match="gone"):
        hold(Lock(target, "/lockholder", "me"), transport).__enter__()


def test_waiting_is_stopped_from_outside(gadgets: Gadgets, transport: HttpTransport) -> None:
    """Another thread's stop ends the wait."""
    target = gadgets.create(lockholder="you/7/0")
    stop = Stop()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(StoppedError):
        hold(Lock(target, "/lockholder", "me", 600), transport, stop=stop).__enter__()


def holding_of(script: Scripted, time: VirtualTime) -> HeldLock:
    """A lock of 12 seconds that was acquired now."""
    shown = {"metadata": {"uid": "u", "resourceVersion": "1"}, "lock": None}
    taken = Scripted([Answer(200, shown), Answer(200, shown)])
    mine = time.run(try_acquire(Lock(TARGET, "/lock", "me", 12)), taken).acquisition
    assert mine is not None
    return HeldLock(mine, script, time.now, time.clock)


def away(time: VirtualTime, seconds: float) -> Scripted:
    """A server that never answers, and takes that long for it."""
    script = Scripted()

    def send(request: Request) -> Answer:
        time.now += min(seconds, request.timeout or seconds)
        return Answer(UNKNOWN, error="away")

    script.answers = [send] * 1000
    return script


def test_a_holder_without_answers_gives_up_before_others_may_take_over(time: VirtualTime) -> None:
    """After `renew_deadline`, two thirds of the duration, the lock counts as lost."""
    held_lock = holding_of(away(time, 1.0), time)

    def pass_time(interval: float) -> bool:
        time.sleep(interval)
        return False

    held_lock.keep_renewed(pass_time)
    assert held_lock.lost.is_set()
    assert 8 <= time.now - 1000 < 12
    with pytest.raises(LockLostError, match="no renewal was confirmed for 8 s"):
        held_lock.check()


def test_an_interpreter_that_stood_still_notices_at_the_next_check(time: VirtualTime) -> None:
    """No thread had to run in between."""
    held_lock = holding_of(Scripted(), time)
    held_lock.check()
    time.now += 8
    with pytest.raises(LockLostError):
        held_lock.check()


def test_a_renewal_that_is_refused_loses_the_lock(time: VirtualTime) -> None:
    """Say, the right to patch was withdrawn: the reason is kept."""
    denied = Answer(403, {"kind": "Status", "reason": "Forbidden", "message": "no more"})
    held_lock = holding_of(Scripted([denied]), time)
    held_lock.keep_renewed(lambda interval: False)
    with pytest.raises(LockLostError, match="no more"):
        held_lock.check()
    with pytest.raises(RequestRefusedError):
        holding_of(Scripted([denied]), time).renew()


def test_a_deleted_object_loses_the_lock(time: VirtualTime) -> None:
    """There is nothing to hold any more."""
    held_lock = holding_of(Scripted([Answer(404)]), time)
    with pytest.raises(LockLostError, match="deleted"):
        held_lock.renew()


def test_renewing_ends_when_the_block_does(time: VirtualTime) -> None:
    """The end of the block ends the thread."""
    held_lock = holding_of(Scripted(), time)
    intervals: list[float] = []

    def done(interval: float) -> bool:
        intervals.append(interval)
        return True

    held_lock.keep_renewed(done)
    assert intervals == [3.0]
    assert not held_lock.lost.is_set()


def test_a_lock_won_long_ago_is_renewed_first(time: VirtualTime) -> None:
    """It took most of the duration to find out that the patch had landed: the block begins with a fresh renewal."""
    shown = {"metadata": {"uid": "u", "resourceVersion": "1"}, "lock": None}
    landed: dict[str, object] = {}

    def lands_unanswered(request: Request) -> Answer:
        time.now += 7
        landed.update(shown, lock=request.body[-1]["value"])
        return Answer(504)

    def renewed(request: Request) -> Answer:
        landed.update(lock=request.body[-1]["value"])
        return Answer(200, dict(landed))

    script = Scripted([Answer(200, shown), lands_unanswered, lambda _: Answer(200, dict(landed)), renewed, renewed])
    lock = Lock(TARGET, "/lock", "me", 12)
    with hold(lock, script, clock=time.clock) as held_lock:
        held_lock.check()
    assert not script.answers
