"""How a watch can fail.  The reflector decides what follows from each failure."""

from __future__ import annotations

from kubemr.locks.effects import Answer


class WatchError(Exception):
    """The watch could not be opened, or ended with an error."""


class WatchRefusedError(WatchError):
    """The server's response is not a stream of events."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"watch refused: {answer.status} {answer.message}")
        self.answer = answer


class WatchBrokenError(WatchError):
    """The connection could not be made, or ended in the middle of an event.  All events before are complete."""


class WatchIdleTimeoutError(WatchBrokenError):
    """No byte arrived within the idle timeout, so the connection counts as dead."""


class WatchGarbledError(WatchError):
    """A whole line is not an event, and the event that it should have been is lost."""
