"""Failure detectors: they decide whether the holder of a lock is dead, without comparing clocks.

=======================  ==============================================  ==========================================
`LockHeartbeatDetector`  the holder renews each lock that it holds       one patch per lock and renewal
`LeaseDetector`          the holder renews one Lease, named after it     one patch per holder, however many locks
=======================  ==============================================  ==========================================

Both rest on `kubemr.locks.liveness`: call the detector about every `poll` seconds while you wait for a holder.
If you call it less often, it never reports a dead holder, because each gap starts the observation window again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attr import define, field

from kubemr.locks.conditional import Target
from kubemr.locks.effects import Now, Op
from kubemr.locks.identity import Token
from kubemr.locks.lease import RENEWALS_PER_DURATION, LeaseFailureDetector
from kubemr.locks.liveness import Observation
from kubemr.locks.lock_value import LockValue


class FailureDetector(Protocol):
    """Decides whether a holder is dead.

    It remembers what it read, so every observer needs its own detector.
    """

    @property
    def poll(self) -> float:
        """The interval between two calls of `is_dead`, in seconds."""
        ...

    def is_dead(self, value: LockValue, sent_at: float, received_at: float) -> Op[bool]:
        """Decide whether the holder of `value` is dead.

        A consistent read of the lock, sent at `sent_at` and answered at `received_at`, returned `value`.
        """
        ...

    def missed(self) -> None:
        """Record that a read of the lock failed."""
        ...


@define
class LockHeartbeatDetector:
    """Declares a holder dead if the lock's string stays the same for `duration` seconds.

    Each lock needs its own detector.
    """

    duration: float
    _observation: Observation = field(init=False)

    @_observation.default
    def _nothing_seen(self) -> Observation:
        return Observation(self.duration)

    @property
    def poll(self) -> float:
        """The interval of the holder's renewals, in seconds."""
        return self.duration / RENEWALS_PER_DURATION

    def is_dead(self, value: LockValue, sent_at: float, received_at: float) -> Op[bool]:
        """See `FailureDetector`."""
        yield from ()  # It is an operation, although it has no effects.
        self._observation.record(value.raw, sent_at, received_at)
        return self._observation.expired

    def missed(self) -> None:
        """See `FailureDetector`."""
        self._observation.missed()


@define
class LeaseDetector:
    """Declares a holder dead if its Lease is missing, has another holder or none, or was not renewed for `duration`.

    One detector serves any number of locks.
    `lease_of` returns the Lease of an identity; a process must hold its Lease before it acquires a lock.
    A Lease is read at most eight times per `duration`, however many locks its holder has.
    """

    lease_of: Callable[[str], Target]
    duration: float
    _watched: dict[str, _Watched] = field(factory=dict, init=False)

    @property
    def poll(self) -> float:
        """The interval of the holder's renewals, in seconds."""
        return self.duration / RENEWALS_PER_DURATION

    def is_dead(self, value: LockValue, sent_at: float, received_at: float) -> Op[bool]:
        """See `FailureDetector`."""
        watched = self._watched.get(value.holder)
        if watched is None:
            self._forget(received_at)
            detector = LeaseFailureDetector(lambda token: self.lease_of(str(token)), self.duration)
            watched = self._watched[value.holder] = _Watched(detector)
        elif received_at - watched.checked_at < self.duration / 8:
            return False  # It was alive a moment ago.
        dead = yield from watched.detector.find_dead([Token(value.holder)])
        watched.checked_at = float("-inf") if dead else (yield Now())
        return bool(dead)

    def missed(self) -> None:
        """See `FailureDetector`.

        Reads of the lock say nothing about the Lease.
        """

    def _forget(self, now: float) -> None:
        """Drop the holders that were not checked lately: their windows have gaps anyway."""
        self._watched = {
            holder: watched for holder, watched in self._watched.items() if now - watched.checked_at < self.duration
        }


@define
class _Watched:
    detector: LeaseFailureDetector
    checked_at: float = float("-inf")
