"""Judge whether a holder is dead without comparing clocks.

A live holder changes something in regular intervals (a Lease's `renewTime`, a lock's beat).  The
observer looks at *what* is there, never at the time written in it, and measures with its own monotonic
clock how long it stayed the same.  Three rules keep a slow or cut-off observer from condemning anyone:

1. Only successful reads count, and they must follow each other closely.  A failed read, or a gap longer
   than `max_gap`, starts the window again: while the apiserver was away nobody could renew.
2. The window is a whole lease duration, which is at least four renewals.  It opens when the *answer* of
   the first read is in and closes when the *question* of the last one goes out: a slow answer never
   makes it longer than it was.
3. The read that closes the window must be *consistent* (a plain GET, or a list without
   resourceVersion), since watches and cached lists may lag behind.
"""

from __future__ import annotations

from attr import define, field

from kubemr.locks.effects import Json


@define
class Observation:
    """How long one value has stayed the same, as far as this observer can vouch for it.

    `duration` and `max_gap` are in seconds; `max_gap` is half of `duration` unless given.
    """

    duration: float
    max_gap: float = field()
    _value: Json = field(default=None, init=False)
    _since: float | None = field(default=None, init=False)
    _asked: float = field(default=0.0, init=False)
    _answered: float = field(default=0.0, init=False)

    @max_gap.default
    def _half(self) -> float:
        return self.duration / 2

    def saw(self, value: Json, asked: float, answered: float) -> None:
        """A consistent read, sent at `asked` and answered at `answered`, showed `value`."""
        if self._since is None or value != self._value or self.has_gap(asked):
            self._since = answered
            self._value = value
        self._asked = asked
        self._answered = answered

    def missed(self) -> None:
        """A read failed: the window starts again with the next successful one."""
        self._since = None

    def has_gap(self, now: float) -> bool:
        """Nothing was seen for so long that a read which is sent at `now` starts the window again."""
        return now - self._answered > self.max_gap

    @property
    def expired(self) -> bool:
        """True when the reads up to the latest show the same value for `duration`, without a gap.

        Ask right after `saw`: time that passed since the latest read proves nothing, and is not counted.
        """
        return self._since is not None and self._asked - self._since >= self.duration
