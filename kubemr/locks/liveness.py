"""Judge whether a holder is dead without comparing clocks.

A live holder changes something in regular intervals (a Lease's `renewTime`, a lock's beat).  The
observer looks at *what* is there, never at the time written in it, and measures with its own monotonic
clock how long it stayed the same.  Three rules keep a slow or cut-off observer from condemning anyone:

1. Only successful reads count, and they must follow each other closely.  A failed read, or a gap longer
   than `max_gap`, starts the window again: while the apiserver was away nobody could renew.
2. The window is a whole lease duration, which is at least four renewals.
3. When the window has passed, one more *consistent* read must show the same value.  The caller does
   that read, since watches and cached lists may lag behind.
"""

from __future__ import annotations

from attr import define, field

from kubemr.locks.request import Json


@define
class Observation:
    """How long one value has stayed the same, as far as this observer can vouch for it.

    `duration` and `max_gap` are in seconds.
    """

    duration: float
    max_gap: float = field()
    _value: Json = field(default=None, init=False)
    _since: float | None = field(default=None, init=False)
    _last: float = field(default=0.0, init=False)

    @max_gap.default
    def _half(self) -> float:
        return self.duration / 2

    def saw(self, value: Json, now: float) -> None:
        """A successful read at `now` showed `value`."""
        if self._since is None or value != self._value or now - self._last > self.max_gap:
            self._since = now
            self._value = value
        self._last = now

    def missed(self) -> None:
        """A read failed: the window starts again with the next successful one."""
        self._since = None

    def expired(self, now: float) -> bool:
        """True when the value stayed the same for `duration` over reads without a gap.

        `now` must be the time of the latest read: silence since then proves nothing.
        """
        return self._since is not None and now - self._last <= self.max_gap and self._last - self._since >= self.duration
