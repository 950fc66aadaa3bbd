"""Compute how long a watcher waits before its next request to the apiserver.

The ceiling is 0.8 s, doubling to 30 s, and 0.8 s again after two minutes without a failure.
The wait has full jitter: it is uniform between zero and the ceiling.
So many watchers that lost their connections at the same moment do not return at the same moment.
Source: client-go's reflector, `wait.NewExponentialBackoffManager(800ms, 30s, 2m, 2.0, 1.0)`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from attrs import define, field

from kubemr.controller.clock import Clock


@define
class ResettingBackoff:
    """Waits in seconds.  `uniform` returns floats from [0, 1)."""

    clock: Clock
    uniform: Callable[[], float] = random.random
    first: float = 0.8
    longest: float = 30.0
    quiet: float = 120.0
    """A failure this many seconds after the end of the last wait counts as the first."""
    _failures: int = field(default=0, init=False)
    _until: float = field(default=float("-inf"), init=False)
    """The end of the last wait that `next` returned."""

    def next(self, at_least: float | None = None) -> float:
        """Count one more failure and return the wait.

        The wait is at least `at_least`, the server's Retry-After, and jitter is added to that.
        """
        now = self.clock.now()
        if now - self._until >= self.quiet:
            self._failures = 0
        ceiling = min(self.longest, self.first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        wait = self.uniform() * ceiling + (at_least or 0.0)
        self._until = now + wait
        return wait
