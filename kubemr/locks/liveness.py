"""Decide whether a holder is dead, without comparing clocks.

A live holder changes a value at regular intervals: its Lease's `renewTime`, or its lock's heartbeat.
The observer compares the values that it reads, and ignores the time that a value may contain.
It measures by its own monotonic clock how long the value stays the same.
Three rules prevent a slow or disconnected observer from declaring a live holder dead:

1. Only successful reads count, and the time between two of them is bounded by `max_gap`.
   A failed read or a longer gap starts the window again: no holder could renew while the apiserver was unavailable.
2. The window is a whole lease duration, which is at least four renewals.
   It begins when the *answer* to the first read arrives, and ends when the *request* of the last one is sent.
   So a slow answer never makes the window seem longer than it was.
3. The read that ends the window must be *consistent* (a plain GET, or a list without resourceVersion).
   Watches and cached lists may lag behind.
"""

from __future__ import annotations

from attr import define, field

from kubemr.locks.effects import Json


@define
class Observation:
    """How long one value has stayed the same, as far as this observer knows.

    `duration` and `max_gap` are in seconds; `max_gap` is half of `duration` unless given.
    """

    duration: float
    max_gap: float = field()
    _value: Json = field(default=None, init=False)
    _since: float | None = field(default=None, init=False)
    _sent_at: float = field(default=0.0, init=False)
    _received_at: float = field(default=0.0, init=False)

    @max_gap.default
    def _half(self) -> float:
        return self.duration / 2

    def record(self, value: Json, sent_at: float, received_at: float) -> None:
        """Record that a consistent read, sent at `sent_at` and answered at `received_at`, returned `value`."""
        if self._since is None or value != self._value or self.has_gap(sent_at):
            self._since = received_at
            self._value = value
        self._sent_at = sent_at
        self._received_at = received_at

    def missed(self) -> None:
        """Record a failed read: the window starts again with the next successful read."""
        self._since = None

    def has_gap(self, now: float) -> bool:
        """Return True if the last read is so old that a read sent at `now` starts the window again."""
        return now - self._received_at > self.max_gap

    @property
    def expired(self) -> bool:
        """True if all reads for `duration` returned the same value, without a gap.

        The time since the latest read proves nothing, and does not count.
        """
        return self._since is not None and self._sent_at - self._since >= self.duration
