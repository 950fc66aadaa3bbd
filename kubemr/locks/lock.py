"""A lock at any path of any object, by conditional JSON patches.

Of many that try at once one succeeds, because the apiserver (etcd behind it) carries out a patch only if
its `test` holds.  The seed of it all::

    [{"op": "test", "path": "/lockholder", "value": null}, {"op": "add", "path": "/lockholder", "value": "me"}]

Here the value also carries a fencing token and a beat (`kubemr.locks.lock_value`).  A holder *renews*; one
that did not for the lock's whole duration, by the observer's own clock (`kubemr.locks.failure_detectors`), has its
lock taken over.  What a former holder still does afterwards is told apart by its lower fence, and what
it writes into the locked object itself is refused by the server (`write`).

Every patch also tests the object's uid: an object that was deleted and made again has another lock.
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
"""Seconds over which those who wait spread their attempts when a lock becomes free."""


class LockStatus(Enum):
    """How an operation on a lock ended."""

    WON = "won"
    """Done: the lock is held (acquire, renew, write), or given back (release)."""
    LOST = "lost"
    """Somebody else holds it, or a condition does not hold.  What it was to write may have landed before that, if an
    answer was lost."""
    GONE = "gone"
    """The object does not exist (any more)."""
    UNKNOWN = "unknown"
    """The time given ran out before the apiserver's answer was definite: a patch may have landed, or may still."""


@frozen
class Lock:
    """A lock as one claimant sees it.

    `identity` is the claimant's name, unique among all that use the lock: draw it anew at every process
    start (`kubemr.locks.identity.unique`).  `duration`, in seconds, is how long a holder may be silent;
    all who use the lock must agree on it.
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
        """Seconds between renewals: three in a row may go wrong."""
        return self.duration / RENEWALS_PER_DURATION

    @property
    def renew_deadline(self) -> float:
        """Seconds without a confirmed renewal after which a holder must take its lock for lost.

        Less than `duration`, so that a holder stops before another one starts, also when their clocks
        do not run equally fast.
        """
        return self.duration * 2 / 3

    def value_in(self, document: Json) -> LockValue:
        """Raises `InvalidLockError` when what stands at the path is no lock."""
        try:
            return LockValue.parse(lookup(document, self.path))
        except InvalidLockError as problem:
            raise InvalidLockError(f"{self}: {problem}") from None

    def held_in(self, document: Json) -> Acquisition | None:
        """The acquisition that `document` shows if it is this claimant's own; reads nothing."""
        value = self.value_in(document)
        return Acquisition(self, value, document["metadata"]["uid"]) if value.holder == self.identity else None

    def __str__(self) -> str:
        return f"lock {self.path} of {self.target}"


@frozen
class Acquisition:
    """One acquisition.  `fence` is greater than that of every earlier acquisition of this lock."""

    lock: Lock
    value: LockValue
    uid: str

    @property
    def fence(self) -> int:
        """The fencing token: give it to whatever must refuse the orders of former holders."""
        return self.value.fence

    @property
    def guard(self) -> Patch:
        """The tests that hold only as long as this acquisition, at this beat, stands."""
        return Patch().test("/metadata/uid", self.uid).test(self.lock.path, self.value.raw)

    def shows(self, document: Json) -> bool:
        """True when `document` carries exactly this acquisition at this beat."""
        found = lookup(document, "/metadata/uid"), lookup(document, self.lock.path)
        return bool(found == (self.uid, self.value.raw))

    def stands_in(self, document: Json) -> bool:
        """True when `document` carries this acquisition, at any beat."""
        same_object = bool(lookup(document, "/metadata/uid") == self.uid)
        return same_object and self.value.same_acquisition_as(lookup(document, self.lock.path))

    def at(self, value: LockValue) -> Acquisition:
        """The same acquisition with another beat."""
        return evolve(self, value=value)


@frozen
class LockResult:
    """How it ended; `held` unless the lock is not (or no longer) one's own; the lock and object as last seen.

    `asked` is the driver's clock when the patch that won was first sent: others who saw the lock since
    may count its silence from then on, but no earlier.
    """

    status: LockStatus
    acquisition: Acquisition | None = None
    value: LockValue | None = None
    object: Json = None
    sent_at: float = 0.0

    @property
    def won(self) -> bool:
        """True for `LockStatus.WON`."""
        return self.status is LockStatus.WON


_UNKNOWN: Final = LockResult(LockStatus.UNKNOWN)


def try_acquire(lock: Lock, detector: FailureDetector | None = None, *, timeout: float | None = None) -> Op[LockResult]:
    """Take the lock if it is free, one's own, or (with `judge`) its holder is dead; never waits for a holder.

    One's own is taken anew, with a higher fence: a claimant that does not know what it holds, after a
    crash of the operation or an unknown outcome, calls this again.
    Raises `InvalidLockError`, or `RequestRefusedError` when the server will not have the patch (schema, rights).
    """
    return (yield from with_deadline(_try_acquire(lock, detector), timeout, _UNKNOWN, each=lock.interval))


def acquire(lock: Lock, detector: FailureDetector | None = None, *, timeout: float | None = None) -> Op[LockResult]:
    """Take the lock, waiting until it is free or its holder dead; `judge` is by default the lock's own beat.

    With `timeout` (seconds) it ends as LOST when the time runs out while somebody else holds it.
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


def renew(held: Acquisition, *, timeout: float | None = None) -> Op[LockResult]:
    """Show that the holder lives.  LOST: somebody else has the lock now, or it was released.

    After UNKNOWN renew again with the same `held`, until `Lock.renew_deadline` is over.
    """
    return (yield from write(held, Patch(), timeout=timeout))


def write(held: Acquisition, patch: Patch, *, timeout: float | None = None) -> Op[LockResult]:
    """Change the locked object, only while the lock is held: one patch that renews the lock too.

    A former holder's `write` is refused by the server, however late it comes.  The patch may carry tests
    of its own; if one fails, the fate is LOST while `Result.held` is still set.
    """
    return (yield from with_deadline(_write(held, patch), timeout, _UNKNOWN, each=held.lock.interval))


def release(held: Acquisition, *, timeout: float | None = None) -> Op[LockResult]:
    """Give the lock back; the fence stays.

    LOST: it is not held any more, which is just as well.  That may be this very release's doing, where its answer was
    lost and somebody took the lock before one could look.
    """
    return (yield from with_deadline(_release(held), timeout, _UNKNOWN, each=held.lock.interval))


def _try_acquire(lock: Lock, detector: FailureDetector | None) -> Op[LockResult]:
    vanished = ""
    while True:
        asked: float = yield Now()
        seen = yield from _read(lock, detector)
        if seen is None:
            return LockResult(LockStatus.GONE)
        result = yield from _contend(lock, detector, seen, asked, (yield Now()))
        if result.status is not LockStatus.GONE:
            return result
        # A 404 to the patch: the object was deleted after the read, or it is the subresource that does not exist.
        if vanished == (vanished := result.object["metadata"]["uid"]):
            what = f"{lock}: the object exists, but not its subresource {lock.target.subresource!r}"
            raise RequestRefusedError(what, Answer(404))


def _contend(lock: Lock, detector: FailureDetector | None, seen: Json, asked: float, answered: float) -> Op[LockResult]:
    """Try for the lock until somebody has it; `seen` was read between `asked` and `answered`."""
    while True:
        value = lock.value_in(seen)
        taken = not value.free and value.holder != lock.identity
        if taken and (detector is None or not (yield from detector.is_dead(value, asked, answered))):
            return LockResult(LockStatus.LOST, value=value, object=seen)
        held = Acquisition(lock, value.taken_by(lock.identity, (yield Random())), seen["metadata"]["uid"])
        taking = Patch().test("/metadata/uid", held.uid) + set_at_path(seen, lock.path, value.raw, held.value.raw)
        asked = yield Now()
        outcome = yield from apply(lock.target, taking, held.shows)
        if outcome.won:
            return LockResult(LockStatus.WON, held, held.value, outcome.object, asked)
        _raise_if_refused(outcome, lock)
        if outcome.status is PatchStatus.GONE:
            return LockResult(LockStatus.GONE, object=seen)
        seen = outcome.object
        answered = yield Now()


def _read(lock: Lock, detector: FailureDetector | None) -> Op[Json]:
    """A consistent read of the object, None when there is none; the judge hears of every one that fails."""
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


def _write(held: Acquisition, patch: Patch) -> Op[LockResult]:
    lock = held.lock
    while True:
        asked: float = yield Now()
        renewed = held.at(held.value.renewed((yield Random())))
        outcome = yield from apply(lock.target, held.guard.replace(lock.path, renewed.value.raw) + patch, renewed.shows)
        if outcome.won:
            return LockResult(LockStatus.WON, renewed, renewed.value, outcome.object, asked)
        _raise_if_refused(outcome, lock)
        if outcome.status is PatchStatus.GONE:
            return LockResult(LockStatus.GONE)
        value = lock.value_in(outcome.object)
        if not held.stands_in(outcome.object):
            return LockResult(LockStatus.LOST, None, value, outcome.object)
        if value == held.value:
            return LockResult(LockStatus.LOST, held, value, outcome.object)  # it was a test in `patch` that failed
        held = held.at(value)  # an earlier renewal landed whose answer was lost


def _release(held: Acquisition) -> Op[LockResult]:
    lock = held.lock
    while True:
        free = held.at(held.value.released())
        outcome = yield from apply(lock.target, held.guard.replace(lock.path, free.value.raw), free.shows)
        if outcome.won:
            return LockResult(LockStatus.WON, None, free.value, outcome.object)
        _raise_if_refused(outcome, lock)
        if outcome.status is PatchStatus.GONE:
            return LockResult(LockStatus.GONE)
        value = lock.value_in(outcome.object)
        if not held.stands_in(outcome.object):
            return LockResult(LockStatus.LOST, None, value, outcome.object)
        held = held.at(value)


def _wait_for_change(lock: Lock, result: LockResult, pause: float) -> Op[None]:
    """Return after `pause` seconds, or shortly after a watch shows another acquisition or a release.

    A watch is a hint: where it cannot be had or ends early, the time is slept through.
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
