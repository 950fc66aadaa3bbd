"""Exponential back-off with full jitter.

The wait before attempt *n* is uniformly distributed over (0, min(longest, first * 2**n)).
Clients that were refused at the same moment then do not return at the same moment.
Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from typing import Final

from attr import define

LONGEST: Final = 5.0


@define
class Backoff:
    """The state of one back-off, with times in seconds.

    The caller passes the random numbers, so that a simulation can replay them.
    """

    first: float = 0.1
    longest: float = LONGEST
    attempts: int = 0

    def next(self, random: float, at_least: float | None = None) -> float:
        """Return the next wait, for a `random` number from [0, 1).

        It is not shorter than `at_least`, a server's Retry-After.
        """
        ceiling = min(self.longest, self.first * 2.0 ** min(self.attempts, 32))
        self.attempts += 1
        wait = ceiling * (1.0 - random)
        return wait if at_least is None else at_least + wait

    def reset(self) -> None:
        """Begin again with `first`."""
        self.attempts = 0
