"""How a watch can fail.  What follows from each is the reflector's decision."""

from __future__ import annotations

from kubemr.locks.effects import Answer


class WatchError(Exception):
    """The watch could not be opened, or did not end as it should."""


class WatchRefusedError(WatchError):
    """The server answered with something else than a stream of events."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"watch refused: {answer.status} {answer.message}")
        self.answer = answer


class WatchBrokenError(WatchError):
    """The connection could not be made, or ended in the middle of an event.  All events before were whole."""


class WatchIdleTimeoutError(WatchBrokenError):
    """Nothing came for so long that the connection is taken to be half-open: dead, without our having been told."""


class WatchGarbledError(WatchError):
    """A whole line that is no event.  What it should have said is lost."""
