"""What stands at a lock's path: one string ``holder/fence/beat``.

=========  ===========================================================================================
holder     the identity of who holds the lock, without "/"; empty while it is free
fence      the fencing token: rises by one with every acquisition, and outlives the release
beat       changed by every renewal, so that others see that the holder lives.  It begins at and rises by
           random numbers, so that no two patches ever write the same string, and each knows its own
=========  ===========================================================================================

``w7/3/81245`` is held by w7, ``/3/0`` is free after three acquisitions.  Nothing at all (null, absent,
the empty string) is a lock that was never taken.  Any other string, such as the ``me`` of somebody who
sends plain patches, is a holder that never renews.
"""

from __future__ import annotations

import re
from typing import Final

from attr import frozen

from kubemr.locks.effects import Json
from kubemr.locks.errors import InvalidLockError
from kubemr.locks.patch import MISSING

_OURS = re.compile(r"([^/]*)/([0-9]{1,18})/([0-9]{1,18})")
HEARTBEATS: Final = 1_000_000
"""The first beat, and each step, is drawn from this many."""


@frozen
class LockValue:
    """A parsed lock string.  `raw` is the document's value as it was found: what a `test` has to name."""

    holder: str
    fence: int = 0
    heartbeat: int = 0
    raw: Json = None

    @classmethod
    def parse(cls, found: Json) -> LockValue:
        """Raises `InvalidLockError` for what is neither a string nor nothing."""
        if found is None or found is MISSING:
            return cls("")
        if not isinstance(found, str):
            raise InvalidLockError(f"{found!r} is no lock: expected a string holder/fence/beat, or nothing")
        match = _OURS.fullmatch(found)
        if match is None:
            return cls(found, raw=found)
        return cls(match[1], int(match[2]), int(match[3]), raw=found)

    @classmethod
    def make(cls, holder: str, fence: int, beat: int) -> LockValue:
        """The value that these parts make."""
        return cls(holder, fence, beat, raw=f"{holder}/{fence}/{beat}")

    @property
    def free(self) -> bool:
        """Nobody holds it."""
        return not self.holder

    def taken_by(self, identity: str, uniform: float) -> LockValue:
        """The value of the next acquisition; `draw` from [0, 1) makes it unlike every other."""
        return self.make(identity, self.fence + 1, int(uniform * HEARTBEATS))

    def renewed(self, uniform: float) -> LockValue:
        """The same acquisition, its beat raised; `draw` from [0, 1)."""
        return self.make(self.holder, self.fence, self.heartbeat + 1 + int(uniform * HEARTBEATS))

    def released(self) -> LockValue:
        """Free; the fence stays."""
        return self.make("", self.fence, 0)

    def same_acquisition_as(self, found: Json) -> bool:
        """True when what a document shows at the path is this value, or differs in its beat alone."""
        match = _OURS.fullmatch(found) if isinstance(found, str) else None
        if match is None:
            return bool(found == self.raw)
        return (match[1], int(match[2])) == (self.holder, self.fence)
