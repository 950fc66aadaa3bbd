"""Hold a lock for the length of a `with` block, renewed by a thread beside it.

A lock cannot stop the code of a holder that lost it, it can only say so: through `Holding.lost`, through
`Holding.check()`, by refusing `Holding.write`, and by `LockLost` at the end of the block.  It counts as
lost when the server says so, and also when no renewal was confirmed for `Lock.patience` seconds: by then
somebody else may be about to take it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kubemr.locks.conditional import Refused
from kubemr.locks.effects import Op
from kubemr.locks.failure_detectors import Judge
from kubemr.locks.lock import Fate, Held, Lock, Result, acquire, release, renew, write
from kubemr.locks.lock_value import BadLock
from kubemr.locks.patch import Patch
from kubemr.locks.threads import Stop, Transport, run


class NotAcquired(Exception):
    """The lock was not to be had in the time given; `result` says why."""

    def __init__(self, lock: Lock, result: Result) -> None:
        holder = f", held by {result.value.holder}" if result.value is not None and result.value.holder else ""
        super().__init__(f"{lock}: not acquired by {lock.identity}: {result.fate.value}{holder}")
        self.result = result


class LockLost(Exception):
    """The lock was lost while it was needed: what was done under it may overlap with its next holder's work."""


class Holding:
    """A lock as its holder's code sees it.  Safe to use from several threads."""

    def __init__(self, held: Held, transport: Transport, confirmed: float, clock: Callable[[], float]) -> None:
        self.lock = held.lock
        self.lost = threading.Event()
        """Set as soon as the loss is known; it is never cleared."""
        self._held = held
        self._transport = transport
        self._clock = clock
        # When the last request was *sent* that is known to have shown others that we live.
        self._confirmed = confirmed
        self._why = ""
        # Renewals and writes both change the beat, so they go one after the other.
        self._mutex = threading.Lock()

    @property
    def fence(self) -> int:
        """The fencing token of this acquisition."""
        return self._held.fence

    def check(self) -> None:
        """Raises `LockLost` unless the lock is held, as far as anybody can know."""
        if self._clock() - self._confirmed >= self.lock.patience:
            self._lose(f"no renewal was confirmed for {self.lock.patience:g} s")
        if self.lost.is_set():
            raise LockLost(f"{self.lock}: lost by {self.lock.identity} (fence {self.fence}): {self._why}")

    def renew(self) -> None:
        """One renewal.  Raises `LockLost`."""
        self._change(lambda held, left: renew(held, timeout=left))

    def write(self, patch: Patch) -> Result:
        """Change the locked object under the lock's protection; see `kubemr.locks.lock.write`.

        Raises `LockLost`, or `Refused` when the server will not have the patch.
        """
        return self._change(lambda held, left: write(held, patch, timeout=left))

    def release(self) -> None:
        """Give the lock back; waits no longer than one renewal interval for a server that does not answer."""
        with self._mutex:
            run(release(self._held, timeout=self.lock.interval), self._transport, clock=self._clock)

    def _change(self, operation: Callable[[Held, float], Op[Result]]) -> Result:
        with self._mutex:
            self.check()
            left = self._confirmed + self.lock.patience - self._clock()
            result = run(operation(self._held, left), self._transport, clock=self._clock)
            if result.held is not None:
                self._held = result.held
            if result.won:
                self._confirmed = result.asked
            elif result.fate is Fate.GONE:
                self._lose("the object was deleted")
            elif result.fate is Fate.LOST and result.held is None:
                self._lose(f"now {result.value.raw!r}" if result.value is not None else "")
            self.check()
            return result

    def _lose(self, why: str) -> None:
        if not self.lost.is_set():
            self._why = why
            self.lost.set()

    def keep(self, done: Callable[[float], bool]) -> None:
        """Renew until `done(interval)`, which waits that many seconds, is true, or the lock is lost."""
        while not done(self.lock.interval):
            try:
                self.renew()
            except LockLost:
                return
            except (Refused, BadLock) as problem:
                self._lose(str(problem))
                return


@contextmanager
def held(
    lock: Lock,
    transport: Transport,
    *,
    judge: Judge | None = None,
    timeout: float | None = None,
    stop: Stop | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Holding]:
    """Acquire the lock, renew it in a thread during the block, release it at the end.

    Raises `NotAcquired` when it was not to be had within `timeout` seconds (None: wait for ever), `Stopped` when `stop`
    is set while waiting, and `LockLost` at the end of a block during which the lock was lost.
    """
    result = run(acquire(lock, judge, timeout=timeout), transport, clock=clock, stop=stop)
    if result.held is not None and clock() - result.asked > lock.interval:
        # It took long to find out that the lock was won: others may have watched it in silence since.
        result = run(renew(result.held, timeout=lock.patience), transport, clock=clock)
    if result.held is None:
        raise NotAcquired(lock, result)
    holding = Holding(result.held, transport, result.asked, clock)
    done = threading.Event()
    renewals = threading.Thread(target=holding.keep, args=(done.wait,), name=f"renews {lock}", daemon=True)
    renewals.start()
    try:
        yield holding
    finally:
        done.set()
        renewals.join()
        if not holding.lost.is_set():
            holding.release()
    holding.check()
