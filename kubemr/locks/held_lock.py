"""Hold a lock for the length of a `with` block, while a thread renews it.

A lock cannot stop the code of a holder that has lost it.
It can only report the loss: by `HeldLock.lost`, and by an exception of `check`, of `write` and of the block's end.
The lock counts as lost if the apiserver says so.
It also counts as lost if no renewal was confirmed for `Lock.renew_deadline` seconds.
After that time another process may soon take it over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kubemr.locks.conditional import RequestRefusedError
from kubemr.locks.effects import Op
from kubemr.locks.errors import InvalidLockError, LocksError
from kubemr.locks.failure_detectors import FailureDetector
from kubemr.locks.lock import Acquisition, Lock, LockResult, LockStatus, acquire, release, renew, write
from kubemr.locks.patch import Patch
from kubemr.locks.threads import Stop, Transport, run


class LockNotAcquiredError(LocksError):
    """The lock was not acquired in the given time, or its object does not exist; `result` says why."""

    def __init__(self, lock: Lock, result: LockResult) -> None:
        holder = f", held by {result.value.holder}" if result.value is not None and result.value.holder else ""
        super().__init__(f"{lock}: not acquired by {lock.identity}: {result.status.value}{holder}")
        self.result = result


class LockLostError(LocksError):
    """The lock was lost while its holder needed it: the holder's work may overlap with that of the next holder."""


class HeldLock:
    """A lock that this process holds; several threads may use it."""

    def __init__(
        self, acquisition: Acquisition, transport: Transport, confirmed: float, clock: Callable[[], float]
    ) -> None:
        self.lock = acquisition.lock
        self.lost = threading.Event()
        """Set when the loss becomes known; it is never cleared."""
        self._acquisition = acquisition
        self._transport = transport
        self._clock = clock
        # When the latest confirmed renewal was *sent*: waiters count the holder's silence from then at the earliest.
        self._confirmed = confirmed
        self._reason = ""
        # Renewals and writes both change the heartbeat, so they must not overlap.
        self._mutex = threading.Lock()

    @property
    def fence(self) -> int:
        """The fencing token of this acquisition."""
        return self._acquisition.fence

    def check(self) -> None:
        """Raise `LockLostError` if the lock is lost, or may be lost because no renewal was confirmed in time."""
        if self._clock() - self._confirmed >= self.lock.renew_deadline:
            self._mark_lost(f"no renewal was confirmed for {self.lock.renew_deadline:g} s")
        if self.lost.is_set():
            raise LockLostError(f"{self.lock}: lost by {self.lock.identity} (fence {self.fence}): {self._reason}")

    def renew(self) -> None:
        """Renew the lock once.

        Raise `LockLostError`.
        """
        self._change(lambda acquisition, left: renew(acquisition, timeout=left))

    def write(self, patch: Patch) -> LockResult:
        """Change the locked object, only while the lock is held; see `kubemr.locks.lock.write`.

        Raise `LockLostError`, or `RequestRefusedError` if the apiserver refuses the patch.
        """
        return self._change(lambda acquisition, left: write(acquisition, patch, timeout=left))

    def release(self) -> None:
        """Release the lock; wait at most one renewal interval for an apiserver that does not answer."""
        with self._mutex:
            run(release(self._acquisition, timeout=self.lock.interval), self._transport, clock=self._clock)

    def _change(self, operation: Callable[[Acquisition, float], Op[LockResult]]) -> LockResult:
        with self._mutex:
            self.check()
            left = self._confirmed + self.lock.renew_deadline - self._clock()
            result = run(operation(self._acquisition, left), self._transport, clock=self._clock)
            if result.acquisition is not None:
                self._acquisition = result.acquisition
            if result.won:
                self._confirmed = result.sent_at
            elif result.status is LockStatus.GONE:
                self._mark_lost("the object was deleted")
            elif result.status is LockStatus.LOST and result.acquisition is None:
                self._mark_lost(f"now {result.value.raw!r}" if result.value is not None else "")
            self.check()
            return result

    def _mark_lost(self, reason: str) -> None:
        if not self.lost.is_set():
            self._reason = reason
            self.lost.set()

    def keep_renewed(self, done: Callable[[float], bool]) -> None:
        """Renew until `done(interval)`, which waits that many seconds, returns True, or the lock is lost."""
        while not done(self.lock.interval):
            try:
                self.renew()
            except LockLostError:
                return
            except (RequestRefusedError, InvalidLockError) as problem:
                self._mark_lost(str(problem))
                return


@contextmanager
def hold(
    lock: Lock,
    transport: Transport,
    *,
    detector: FailureDetector | None = None,
    timeout: float | None = None,
    stop: Stop | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[HeldLock]:
    """Acquire the lock, renew it in a thread during the block, and release it at the end.

    Raise:

    - `LockNotAcquiredError` if another holder keeps it for `timeout` seconds (None: no limit);
    - `LockNotAcquiredError` also if the object does not exist;
    - `StoppedError` if `stop` is set during the wait;
    - `LockLostError` at the end of the block, if the lock was lost in it.
    """
    result = run(acquire(lock, detector, timeout=timeout), transport, clock=clock, stop=stop)
    if result.acquisition is not None and clock() - result.sent_at > lock.interval:
        # The answer came late: waiters may have counted the holder's silence since the request was sent.
        result = run(renew(result.acquisition, timeout=lock.renew_deadline), transport, clock=clock)
    if result.acquisition is None:
        raise LockNotAcquiredError(lock, result)
    held_lock = HeldLock(result.acquisition, transport, result.sent_at, clock)
    done = threading.Event()
    renewals = threading.Thread(target=held_lock.keep_renewed, args=(done.wait,), name=f"renews {lock}", daemon=True)
    renewals.start()
    try:
        yield held_lock
    finally:
        done.set()
        renewals.join()
        if not held_lock.lost.is_set():
            held_lock.release()
    held_lock.check()
