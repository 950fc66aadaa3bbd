"""Is the holder of a lock dead?  Two ways to judge, neither of which compares clocks.

=============  ==============================================  ==========================================
`LockHeartbeatDetector`      the holder renews each lock it holds            one patch per lock and renewal
`LeaseDetector`  the holder renews one Lease, named after it     one patch per holder, however many locks
=============  ==============================================  ==========================================

Both rest on `kubemr.locks.liveness`, so a judge has to be asked again and again, about every `poll`
seconds, while somebody is under suspicion: one that is asked seldom never condemns anybody.
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
    """Decides whether a holder is dead.  It remembers what it saw: one judge serves one observer."""

    @property
    def poll(self) -> float:
        """How often to look, in seconds."""
        ...

    def is_dead(self, value: LockValue, asked: float, answered: float) -> Op[bool]:
        """True when the holder of `value` is dead; a consistent read from `asked` to `answered` showed it."""
        ...

    def missed(self) -> None:
        """A read of the lock failed."""
        ...


@define
class LockHeartbeatDetector:
    """Dead when the lock's string stays the same for `duration` seconds.  For one lock."""

    duration: float
    _observation: Observation = field(init=False)

    @_observation.default
    def _nothing_seen(self) -> Observation:
        return Observation(self.duration)

    @property
    def poll(self) -> float:
        """As often as the holder renews."""
        return self.duration / RENEWALS_PER_DURATION

    def is_dead(self, value: LockValue, asked: float, answered: float) -> Op[bool]:
        """See `FailureDetector`."""
        yield from ()  # an operation, though it needs nothing from outside
        self._observation.saw(value.raw, asked, answered)
        return self._observation.expired

    def missed(self) -> None:
        """See `FailureDetector`."""
        self._observation.missed()


@define
class LeaseDetector:
    """Dead when the holder's Lease has another holder or none, does not exist, or was not renewed for `duration`.

    For any number of locks.  `lease_of` gives the Lease of an identity; who takes locks must hold it first.
    A Lease is read at most eight times per `duration`, however many locks its holder has.
    """

    lease_of: Callable[[str], Target]
    duration: float
    _watched: dict[str, _Watched] = field(factory=dict, init=False)

    @property
    def poll(self) -> float:
        """As often as the holder renews."""
        return self.duration / RENEWALS_PER_DURATION

    def is_dead(self, value: LockValue, asked: float, answered: float) -> Op[bool]:
        """See `FailureDetector`."""
        watched = self._watched.get(value.holder)
        if watched is None:
            self._forget(answered)
            census = LeaseFailureDetector(lambda token: self.lease_of(str(token)), self.duration)
            watched = self._watched[value.holder] = _Watched(census)
        elif answered - watched.looked < self.duration / 8:
            return False  # it was alive a moment ago
        verdict = yield from watched.detector.find_dead([Token(value.holder)])
        watched.looked = float("-inf") if verdict else (yield Now())
        return bool(verdict)

    def missed(self) -> None:
        """See `FailureDetector`.  The lock's own reads say nothing about the Lease."""

    def _forget(self, now: float) -> None:
        """Drop the holders nobody asked about lately: their windows have gaps anyway."""
        self._watched = {
            holder: watched for holder, watched in self._watched.items() if now - watched.looked < self.duration
        }


@define
class _Watched:
    detector: LeaseFailureDetector
    looked: float = float("-inf")
