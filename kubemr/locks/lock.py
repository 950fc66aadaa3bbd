"""A lock at any path of any object, by conditional JSON Patches.

Of many processes that try at once one succeeds, because the apiserver carries out a patch only if its `test` holds.
The simplest such lock is one patch::

    [{"op": "test", "path": "/lockholder", "value": null}, {"op": "add", "path": "/lockholder", "value": "me"}]

Here the value also contains a fencing token and a heartbeat (`kubemr.locks.lock_value`).
A holder *renews* its lock.
If it does not for the lock's whole duration, by a waiter's own clock, the waiter takes the lock over.
`kubemr.locks.failure_detectors` decides that.
Requests of a former holder can be recognised by their lower fence.
Its writes to the locked object itself are refused by the apiserver (`write`).

Every patch also tests the object's uid: an object that was deleted and created again has another lock.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from attr import evolve, field, frozen

from kubemr.locks.backoff import Backoff
from kubemr.locks.conditional import PatchResult, PatchStatus, RequestRefusedError, Target, apply
from kubemr.locks.deadline import with_deadline
from kubemr.locks.effects import Answer, Json, Now, Op, Random, Sleep, Watch, WatchEvent
from kubemr.locks.errors import InvalidLockError
from kubemr.locks.failure_detectors import FailureDetector, LockHeartbeatDetector
from kubemr.locks.lease import RENEWALS_PER_DURATION
from kubemr.locks.lock_value import LockValue
from kubemr.locks.patch import Patch, lookup, set_at_path, split_pointer

WAKEUP_JITTER: Final = 0.05
"""The time in seconds over which waiters distribute their attempts when a lock becomes free."""


class LockStatus(Enum):
    """How an operation on a lock ended."""

    WON = "won"
    """Success: the lock is held (acquire, renew, write) or released (release)."""
    LOST = "lost"
    """Another process holds the lock, or a condition does not hold.

    If an answer was lost, the patch may have been carried out before that."""
    GONE = "gone"
    """The object does not exist."""
    UNKNOWN = "unknown"
    """The timeout passed before the apiserver's answer was definite.

    A patch may have been carried out, or may be later."""


@frozen
class Lock:
    """A lock, with the identity under which this process acquires it.

    `identity` is unique among all users of the lock, and new at every start of a process (`unique`).
    `duration`, in seconds, is the time without a renewal after which a holder is dead.
    All users of the lock must give it the same `duration`.
    """

    target: Target
    path: str = field()
    identity: str = field()
    duration: float = field(default=15.0)

    @path.validator
    def _check_path(self, _attribute: object, path: str) -> None:
        split_pointer(path)

    @identity.validator
    def _check_identity(self, _attribute: object, identity: str) -> None:
        if not identity or "/" in identity:
            raise InvalidLockError(f"identity {identity!r}: must be neither empty nor contain '/'")

    @duration.validator
    def _check_duration(self, _attribute: object, duration: float) -> None:
        if duration <= 0:
            raise InvalidLockError(f"duration {duration!r}: must be a positive number of seconds")

    @property
    def interval(self) -> float:
        """The time between renewals, in seconds: three in a row may fail."""
        return self.duration / RENEWALS_PER_DURATION

    @property
    def renew_deadline(self) -> float:
        """The time without a confirmed renewal after which a holder must treat its lock as lost, in seconds.

        It is less than `duration`, so that a holder stops before another starts, even if their clocks differ in speed.
        """
        return self.duration * 2 / 3

    def value_in(self, document: Json) -> LockValue:
        """Return the lock's value in an object.

        Raise `InvalidLockError` if the value at the path is not a lock.
        """
        try:
            return LockValue.parse(lookup(document, self.path))
        except InvalidLockError as problem:
            raise InvalidLockError(f"{self}: {problem}") from None

    def __str__(self) -> str:
        return f"lock {self.path} of {self.target}"


@frozen
class Acquisition:
    """One acquisition of a lock; its `fence` is greater than the fence of every earlier acquisition."""

    lock: Lock
    value: LockValue
    uid: str

    @property
    def fence(self) -> int:
        """The fencing token, for resources that must refuse requests of former holders."""
        return self.value.fence

    @property
    def guard(self) -> Patch:
        """The tests that hold only while the object has this acquisition with this heartbeat."""
        return Patch().test("/metadata/uid", self.uid).test(self.lock.path, self.value.raw)

    def shows(self, document: Json) -> bool:
        """Return True if `document` has exactly this acquisition with this heartbeat."""
        found = lookup(document, "/metadata/uid"), lookup(document, self.lock.path)
        return bool(found == (self.uid, self.value.raw))

    def stands_in(self, document: Json) -> bool:
        """Return True if `document` has this acquisition, with any heartbeat."""
        same_object = bool(lookup(document, "/metadata/uid") == self.uid)
        return same_object and self.value.same_acquisition_as(lookup(document, self.lock.path))

    def at(self, value: LockValue) -> Acquisition:
        """Return the same acquisition with another heartbeat."""
        return evolve(self, value=value)


@frozen
class LockResult:
    """The outcome of an operation on a lock.

    `acquisition` is None if this process does not hold the lock, or no longer holds it.
    `value` and `object` are the lock and the object as they were last read.
    `sent_at` is the driver's clock when the patch that won was first sent.
    Waiters may count the holder's silence from then on, but not earlier.
    """

    status: LockStatus
    acquisition: Acquisition | None = None
    value: LockValue | None = None
    object: Json = None
    sent_at: float = 0.0

    @property
    def won(self) -> bool:
        """True if the status is `LockStatus.WON`."""
        return self.status is LockStatus.WON


_UNKNOWN: Final = LockResult(LockStatus.UNKNOWN)


def try_acquire(lock: Lock, detector: FailureDetector | None = None, *, timeout: float | None = None) -> Op[LockResult]:
    """Acquire the lock if it is free, held by this identity or, with a `detector`, if its holder is dead.

    This operation never waits for a holder.
    A lock that this identity holds is acquired again, with a higher fence.
    So a caller that does not know what it holds, after a crash or an unknown outcome, repeats this operation.
    Raise `InvalidLockError`, or `RequestRefusedError` if the apiserver refuses the patch (schema, rights).
    """
    return (yield from with_deadline(_try_acquire(lock, detector), timeout, _UNKNOWN, each=lock.interval))


def acquire(lock: Lock, detector: FailureDetector | None = None, *, timeout: float | None = None) -> Op[LockResult]:
    """Acquire the lock; wait until it is free or its holder is dead.

    The default `detector` is a `LockHeartbeatDetector`.
    The result is LOST if another process still holds the lock after `timeout` seconds.
    """
    detector = detector or LockHeartbeatDetector(lock.duration)
    deadline = float("inf") if timeout is None else (yield Now()) + timeout
    result: LockResult | None = None
    while True:
        left = deadline - (yield Now())
        if result is not None and left <= 0:
            return result
        result = yield from try_acquire(lock, detector, timeout=left)
        if result.status is not LockStatus.LOST:
            return result
        pause = detector.poll * (0.5 + 0.5 * (yield Random()))
        yield from _wait_for_change(lock, result, min(pause, deadline - (yield Now())))


def renew(acquisition: Acquisition, *, timeout: float | None = None) -> Op[LockResult]:
    """Renew the lock: show that the holder is alive.

    The result is LOST if another process holds the lock now, or it was released.
    After UNKNOWN, renew the same acquisition again, until `Lock.renew_deadline` has passed.
    """
    return (yield from write(acquisition, Patch(), timeout=timeout))


def write(acquisition: Acquisition, patch: Patch, *, timeout: float | None = None) -> Op[LockResult]:
    """Change the locked object, only while the lock is held, by one patch that also renews the lock.

    The apiserver refuses the `write` of a former holder, however late it arrives.
    The patch may contain other tests; if one of them fails, the result is LOST with an acquisition.
    """
    return (yield from with_deadline(_write(acquisition, patch), timeout, _UNKNOWN, each=acquisition.lock.interval))


def release(acquisition: Acquisition, *, timeout: float | None = None) -> Op[LockResult]:
    """Release the lock; the fence stays.

    The result is LOST if the lock is not held any more.
    This release may be the cause, if its answer was lost and another process took the lock before the next read.
    """
    return (yield from with_deadline(_release(acquisition), timeout, _UNKNOWN, each=acquisition.lock.interval))


def _try_acquire(lock: Lock, detector: FailureDetector | None) -> Op[LockResult]:
    vanished = ""
    while True:
        sent_at: float = yield Now()
        seen = yield from _read(lock, detector)
        if seen is None:
            return LockResult(LockStatus.GONE)
        result = yield from _contend(lock, detector, seen, sent_at, (yield Now()))
        if result.status is not LockStatus.GONE:
            return result
        # A 404 to the patch: the object was deleted after the read, or the subresource does not exist.
        if vanished == (vanished := result.object["metadata"]["uid"]):
            what = f"{lock}: the object exists, but not its subresource {lock.target.subresource!r}"
            raise RequestRefusedError(what, Answer(404))


def _contend(
    lock: Lock, detector: FailureDetector | None, seen: Json, sent_at: float, received_at: float
) -> Op[LockResult]:
    """Try to acquire the lock until a live process holds it; `seen` was read between `sent_at` and `received_at`."""
    while True:
        value = lock.value_in(seen)
        taken = not value.free and value.holder != lock.identity
        if taken and (detector is None or not (yield from detector.is_dead(value, sent_at, received_at))):
            return LockResult(LockStatus.LOST, value=value, object=seen)
        acquisition = Acquisition(lock, value.taken_by(lock.identity, (yield Random())), seen["metadata"]["uid"])
        patch = Patch().test("/metadata/uid", acquisition.uid)
        patch += set_at_path(seen, lock.path, value.raw, acquisition.value.raw)
        sent_at = yield Now()
        outcome = yield from apply(lock.target, patch, acquisition.shows)
        if outcome.won:
            return LockResult(LockStatus.WON, acquisition, acquisition.value, outcome.object, sent_at)
        _raise_if_refused(outcome, lock)
        if outcome.status is PatchStatus.GONE:
            return LockResult(LockStatus.GONE, object=seen)
        seen = outcome.object
        received_at = yield Now()


def _read(lock: Lock, detector: FailureDetector | None) -> Op[Json]:
    """Read the object consistently, and notify the detector of failed reads; return None if it does not exist."""
    backoff = Backoff()
    while True:
        answer: Answer = yield lock.target.get()
        if answer.ok:
            return answer.body
        if answer.status == 404:
            return None
        if detector is not None:
            detector.missed()
        if answer.definite and answer.status not in (0, 429):
            raise RequestRefusedError(f"reading {lock.target}", answer)
        yield Sleep(backoff.next((yield Random()), answer.retry_after))


def _write(acquisition: Acquisition, patch: Patch) -> Op[LockResult]:
    lock = acquisition.lock
    while True:
        sent_at: float = yield Now()
        renewed = acquisition.at(acquisition.value.renewed((yield Random())))
        outcome = yield from apply(
            lock.target, acquisition.guard.replace(lock.path, renewed.value.raw) + patch, renewed.shows
        )
        if outcome.won:
            return LockResult(LockStatus.WON, renewed, renewed.value, outcome.object, sent_at)
        _raise_if_refused(outcome, lock)
        if outcome.status is PatchStatus.GONE:
            return LockResult(LockStatus.GONE)
        value = lock.value_in(outcome.object)
        if not acquisition.stands_in(outcome.object):
            return LockResult(LockStatus.LOST, None, value, outcome.object)
        if value == acquisition.value:
            return LockResult(LockStatus.LOST, acquisition, value, outcome.object)  # A test of `patch` failed.
        acquisition = acquisition.at(value)  # An earlier renewal was carried out, and its answer was lost.


def _release(acquisition: Acquisition) -> Op[LockResult]:
    lock = acquisition.lock
    while True:
        free = acquisition.at(acquisition.value.released())
        outcome = yield from apply(lock.target, acquisition.guard.replace(lock.path, free.value.raw), free.shows)
        if outcome.won:
            return LockResult(LockStatus.WON, None, free.value, outcome.object)
        _raise_if_refused(outcome, lock)
        if outcome.status is PatchStatus.GONE:
            return LockResult(LockStatus.GONE)
        value = lock.value_in(outcome.object)
        if not acquisition.stands_in(outcome.object):
            return LockResult(LockStatus.LOST, None, value, outcome.object)
        acquisition = acquisition.at(value)


def _wait_for_change(lock: Lock, result: LockResult, pause: float) -> Op[None]:
    """Return after `pause` seconds, or shortly after a watch shows another acquisition or a release.

    A watch is a hint: if it fails or ends early, the operation sleeps for the rest of the time.
    """
    until = (yield Now()) + pause
    version = result.object["metadata"]["resourceVersion"]
    while (left := until - (yield Now())) > 0:
        target = lock.target
        event: WatchEvent | None = yield Watch(
            target.resource, target.namespace or "", version, left, field_selector=f"metadata.name={target.name}"
        )
        if event is None or event.type == "ERROR":
            yield Sleep(max(0.0, until - (yield Now())))
            return
        shown = lookup(event.object, lock.path)
        if event.type == "DELETED" or result.value is None or not result.value.same_acquisition_as(shown):
            yield Sleep(WAKEUP_JITTER * (yield Random()))
            return
        version = event.object["metadata"]["resourceVersion"]


def _raise_if_refused(outcome: PatchResult, lock: Lock) -> None:
    if outcome.status is PatchStatus.REFUSED:
        raise RequestRefusedError(f"patching {lock}", outcome.answer)
