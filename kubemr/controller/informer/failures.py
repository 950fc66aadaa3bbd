"""Which failure of a list or a watch has which consequence.

=====================================================  ======================================================
failure                                                consequence
=====================================================  ======================================================
list: 410, or a version the server has not reached     a consistent list, at once (if it was one: after a wait)
list: anything else                                    the same list again after a wait
watch: 410, as status or as ERROR event                relist after a wait, not older than what was seen
watch: 429, as status or as ERROR event                resume at the same version after Retry-After and a wait
watch: 5xx; connection refused, broken or idle         resume at the same version after a wait
watch: ended within a second                           resume at the same version after a wait
watch: other ERROR event, other status, garbage        an error: relist after a wait, events may have been lost
streaming list: 400 or 422, or no end of the list      the server has none: ordinary lists from now on, at once
=====================================================  ======================================================

The waits come from the backoff, so even frequent failures cause no hot loop.
"""

from __future__ import annotations

from enum import Enum, auto

from attrs import frozen

from kubemr.controller.client.watch_errors import WatchBrokenError, WatchRefusedError
from kubemr.controller.informer.listing import ListRefusedError
from kubemr.controller.informer.object_keys import Object
from kubemr.locks.effects import UNKNOWN, Answer


class WatchStatusError(Exception):
    """The server ended the watch by an ERROR event, which contains a Status."""

    def __init__(self, status: Object) -> None:
        code = status.get("code")
        details = status.get("details")
        wait = details.get("retryAfterSeconds") if isinstance(details, dict) else None
        self.answer = Answer(
            code if isinstance(code, int) else UNKNOWN,
            status,
            retry_after=float(wait) if isinstance(wait, int | float) and wait else None,
        )
        super().__init__(f"ERROR event: {self.answer.status} {self.answer.message}")


class ShortWatchError(Exception):
    """A watch ended without an error, but within a second."""


class StreamingListUnavailableError(Exception):
    """The server does not support streaming lists."""


class Next(Enum):
    """What to do after a wait."""

    RESUME = auto()
    RELIST = auto()
    CONSISTENT = auto()
    """Relist, by a quorum read."""


@frozen
class FailurePolicy:
    """The consequence of a failure.  `expected` failures happen in a healthy cluster and are not logged as errors."""

    next: Next
    expected: bool
    retry_after: float | None = None


def policy_for_watch(error: Exception) -> FailurePolicy:
    """Return the consequence of the end of a watch."""
    if isinstance(error, WatchBrokenError | ShortWatchError):
        return FailurePolicy(Next.RESUME, expected=True)
    if isinstance(error, WatchRefusedError | WatchStatusError):
        answer = error.answer
        if answer.status == 410:
            return FailurePolicy(Next.RELIST, expected=True)
        if answer.status == 429:
            return FailurePolicy(Next.RESUME, expected=True, retry_after=answer.retry_after)
        if isinstance(error, WatchRefusedError) and (answer.status == UNKNOWN or answer.status >= 500):
            return FailurePolicy(Next.RESUME, expected=True, retry_after=answer.retry_after)
        return FailurePolicy(Next.RELIST, expected=False, retry_after=answer.retry_after)
    return FailurePolicy(Next.RELIST, expected=False)


def policy_for_list(error: ListRefusedError) -> FailurePolicy:
    """Return the consequence of a list that failed."""
    answer = error.answer
    if needs_consistent_list(answer):
        return FailurePolicy(Next.CONSISTENT, expected=True, retry_after=answer.retry_after)
    expected = answer.status in (UNKNOWN, 429) or answer.status >= 500
    return FailurePolicy(Next.RELIST, expected=expected, retry_after=answer.retry_after)


def needs_consistent_list(answer: Answer) -> bool:
    """Return True for 410, and for a version that this server has not reached (504, ResourceVersionTooLarge)."""
    if answer.status == 410:
        return True
    details = answer.body.get("details") if answer.status == 504 and isinstance(answer.body, dict) else None
    causes = details.get("causes") if isinstance(details, dict) else None
    return any(cause.get("reason") == "ResourceVersionTooLarge" for cause in causes or [])
