"""How long a watcher waits before it bothers the apiserver again.

0.8 s doubling to 30 s, full jitter (drawn evenly from zero to the ceiling, so that many watchers which were cut off
at the same moment do not come back at the same moment), and from the start again after two quiet minutes.
Source: client-go's reflector, `wait.NewExponentialBackoffManager(800ms, 30s, 2m, 2.0, 1.0)`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from attrs import define, field

from kubemr.controller.clock import Clock


@define
class ResettingBackoff:
    """Times in seconds.  `draw` gives floats from [0, 1)."""

    clock: Clock
    uniform: Callable[[], float] = random.random
    first: float = 0.8
    longest: float = 30.0
    quiet: float = 120.0
    """Without a failure for so long after the last wait was over, the next failure counts as the first."""
    _failures: int = field(default=0, init=False)
    _until: float = field(default=float("-inf"), init=False)
    """When the last wait that was handed out ends."""

    def next(self, at_least: float | None = None) -> float:
        """The wait after one more failure; `at_least` is the server's Retry-After, which jitter is added to."""
        now = self.clock.now()
        if now - self._until >= self.quiet:
            self._failures = 0
        ceiling = min(self.longest, self.first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        wait = self.uniform() * ceiling + (at_least or 0.0)
        self._until = now + wait
        return wait
