"""What was asked of the apiserver, by its own audit log: when, by whom, for what, how it ended and how long it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

RENEWAL = "patch leases"


@frozen
class Asked:
    """One request.  `at` is when it came, by the wall clock; `seconds` until its answer began, queues included."""

    what: str
    at: float
    seconds: float
    status: int


@frozen
class Phase:
    """What one account asked for between two moments, and what the servers needed of their machine."""

    name: str
    begin: float
    end: float
    cores: float

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.begin

    def of(self, asked: Iterable[Asked]) -> list[Asked]:
        """The requests that came in this phase."""
        return [each for each in asked if self.begin <= each.at < self.end]


def requests(events: Iterable[dict[str, Any]]) -> list[Asked]:
    """From the events of an audit log; a watch counts when it begins."""
    found = []
    for event in events:
        stage, verb = event["stage"], event["verb"]
        if stage == "ResponseComplete" and verb == "watch" and event["responseStatus"]["code"] == 200:
            continue  # it was counted when it began
        began = _time(event["requestReceivedTimestamp"])
        reference = event["objectRef"]
        what = f"{verb} {reference['resource']}" + (
            f"/{reference['subresource']}" if "subresource" in reference else ""
        )
        found.append(Asked(what, began, _time(event["stageTimestamp"]) - began, event["responseStatus"]["code"]))
    return found


def most_watches(events: Iterable[dict[str, Any]]) -> int:
    """How many were open at once."""
    changes = []
    for event in events:
        if event["verb"] == "watch" and event["responseStatus"]["code"] == 200:
            opened = event["stage"] == "ResponseStarted"
            changes.append((_time(event["stageTimestamp"]), 1 if opened else -1))
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def busiest(asked: Sequence[Asked]) -> Counter[str]:
    """What was asked for in the busiest second."""
    by_second: dict[int, Counter[str]] = {}
    for each in asked:
        by_second.setdefault(int(each.at), Counter())[each.what] += 1
    return max(by_second.values(), key=Counter.total, default=Counter())


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
