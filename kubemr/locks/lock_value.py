"""The value at a lock's path: one string ``holder/fence/heartbeat``.

=========  ==========================================================================================
holder     the identity of the lock holder, without "/"; empty while the lock is free
fence      the fencing token: it rises by one with every acquisition, and a release keeps it
heartbeat  changed by every renewal, so that waiters see that the holder is alive.
           It begins at and rises by random numbers, so that no two patches ever write the same string,
           and each process recognises its own
=========  ==========================================================================================

``w7/3/81245`` is held by w7, and ``/3/0`` is free after three acquisitions.
No value (null, absent, the empty string) is a lock that was never acquired.
Any other string, such as the ``me`` of a client that sends plain patches, is a holder that never renews.
"""

from __future__ import annotations

import re
from typing import Final

from attr import frozen

from kubemr.locks.effects import Json
from kubemr.locks.errors import InvalidLockError
from kubemr.locks.patch import MISSING

_FORMAT = re.compile(r"([^/]*)/([0-9]{1,18})/([0-9]{1,18})")
HEARTBEAT_RANGE: Final = 1_000_000
"""The number of values from which the first heartbeat, and each step, is chosen at random."""


@frozen
class LockValue:
    """A parsed lock string.

    `raw` is the value in the document, which a `test` must contain.
    """

    holder: str
    fence: int = 0
    heartbeat: int = 0
    raw: Json = None

    @classmethod
    def parse(cls, found: Json) -> LockValue:
        """Parse the value at a lock's path.

        Raise `InvalidLockError` if it is neither a string nor null nor absent.
        """
        if found is None or found is MISSING:
            return cls("")
        if not isinstance(found, str):
            raise InvalidLockError(f"{found!r} is not a lock: expected a string holder/fence/heartbeat, or nothing")
        match = _FORMAT.fullmatch(found)
        if match is None:
            return cls(found, raw=found)
        return cls(match[1], int(match[2]), int(match[3]), raw=found)

    @classmethod
    def make(cls, holder: str, fence: int, heartbeat: int) -> LockValue:
        """Return the value with these parts."""
        return cls(holder, fence, heartbeat, raw=f"{holder}/{fence}/{heartbeat}")

    @property
    def free(self) -> bool:
        """True if the lock has no holder."""
        return not self.holder

    def taken_by(self, identity: str, uniform: float) -> LockValue:
        """Return the value of the next acquisition; the random number `uniform` from [0, 1) makes it unique."""
        return self.make(identity, self.fence + 1, int(uniform * HEARTBEAT_RANGE))

    def renewed(self, uniform: float) -> LockValue:
        """Return the same acquisition with a higher heartbeat; `uniform` is a random number from [0, 1)."""
        return self.make(self.holder, self.fence, self.heartbeat + 1 + int(uniform * HEARTBEAT_RANGE))

    def released(self) -> LockValue:
        """Return the value of the free lock, with the same fence."""
        return self.make("", self.fence, 0)

    def same_acquisition_as(self, found: Json) -> bool:
        """Return True if the value at a lock's path is this value, except for the heartbeat."""
        match = _FORMAT.fullmatch(found) if isinstance(found, str) else None
        if match is None:
            return bool(found == self.raw)
        return (match[1], int(match[2])) == (self.holder, self.fence)
