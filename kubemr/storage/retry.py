"""Retry transient failures, with exponential backoff and full jitter, bounded in attempts and in time.

A store turns each failure of a single attempt into a `StorageError`.  Only a `TransientError` is retried.  One that
leaves this module says how many attempts or how much time was used up.  Clock, sleep and randomness are passed in.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from attr import field, frozen

from kubemr.locks.backoff import Backoff
from kubemr.logs import Log
from kubemr.storage.errors import TransientError

T = TypeVar("T")


@frozen
class Retrier:
    """The bounds of retries.  Times are in seconds.

    The defaults outlast the restart of a storage server, about half a minute, and give up before a task times out.
    """

    attempts: int = 12
    """The number of attempts at one operation, with the first."""
    first: float = 0.1
    """The bound of the first wait, which is random.  The bound doubles each time."""
    longest: float = 10.0
    """The longest wait, unless the server asks for a longer one (Retry-After)."""
    total: float = 120.0
    """The time after the first attempt in which another attempt may begin."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random

    def begin(self) -> Attempts:
        """Start counting the attempts at one operation."""
        return Attempts(self, Backoff(self.first, self.longest), self.clock())

    def call(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it does not raise `TransientError`."""
        attempts = self.begin()
        while True:
            try:
                return attempt()
            except TransientError as error:
                attempts.failed(error)


@frozen
class Attempts:
    """The attempts at one operation."""

    retrier: Retrier
    backoff: Backoff
    began: float
    made: list[TransientError] = field(factory=list)

    def failed(self, error: TransientError) -> None:
        """Wait before the next attempt.  If none is left, raise the error with the number of attempts and the time."""
        self.made.append(error)
        took = self.retrier.clock() - self.began
        wait = self.backoff.next(self.retrier.random(), error.retry_after)
        if len(self.made) >= self.retrier.attempts or took + wait > self.retrier.total:
            tried = f"gave up after {len(self.made)} attempt{'s' if len(self.made) > 1 else ''} in {took:.1f} s"
            problem = f"{tried}: {error.problem}"
            raise TransientError(error.operation, error.store, error.key, problem, error.remedy) from error
        _log(error, len(self.made), wait)
        self.retrier.sleep(wait)


def _log(error: TransientError, attempt: int, wait: float) -> None:
    Log().warning(
        "storage_retry",
        operation=error.operation,
        store=error.store,
        key=error.key,
        attempt=attempt,
        wait_seconds=round(wait, 3),
        error=error.problem,
    )
