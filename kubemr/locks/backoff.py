"""Exponential back-off with full jitter.

The wait before attempt *n* is drawn evenly from (0, min(longest, first * 2**n)): many clients that were
refused at the same moment do not come back at the same moment.
Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from typing import Final

from attr import define

LONGEST: Final = 5.0


@define
class Backoff:
    """Times in seconds.  The randomness is passed in, so that a simulation can replay it."""

    first: float = 0.1
    longest: float = LONGEST
    attempts: int = 0

    def next(self, random: float, at_least: float | None = None) -> float:
        """The next wait, given a draw from [0, 1); not less than `at_least` (a server's Retry-After)."""
        ceiling = min(self.longest, self.first * 2.0 ** min(self.attempts, 32))
        self.attempts += 1
        wait = ceiling * (1.0 - random)
        return wait if at_least is None else at_least + wait

    def reset(self) -> None:
        """Start again from `first`."""
        self.attempts = 0
