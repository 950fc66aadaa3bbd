"""The requests in the apiserver's audit log: when, what for, with which status, in what time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

RENEWAL = "patch leases"


@frozen
class RecordedRequest:
    """One request: `at` is its wall-clock time, `seconds` the time until its answer began, including queues."""

    what: str
    at: float
    seconds: float
    status: int


@frozen
class Phase:
    """A phase of the benchmark: its times, and how many cores the servers used."""

    name: str
    begin: float
    end: float
    cores: float

    @property
    def seconds(self) -> float:
        """The duration of the phase."""
        return self.end - self.begin

    def of(self, requests: Iterable[RecordedRequest]) -> list[RecordedRequest]:
        """Return the requests that arrived in this phase."""
        return [each for each in requests if self.begin <= each.at < self.end]


def parse_audit_events(events: Iterable[dict[str, Any]]) -> list[RecordedRequest]:
    """Return the requests in the events of an audit log; a watch counts when it begins."""
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
        found.append(
            RecordedRequest(what, began, _time(event["stageTimestamp"]) - began, event["responseStatus"]["code"])
        )
    return found


def max_open_watches(events: Iterable[dict[str, Any]]) -> int:
    """Return the highest number of watches that were open at the same time."""
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


def busiest_second(requests: Sequence[RecordedRequest]) -> Counter[str]:
    """Count the requests, by verb and resource, of the second with the most requests."""
    by_second: dict[int, Counter[str]] = {}
    for each in requests:
        by_second.setdefault(int(each.at), Counter())[each.what] += 1
    return max(by_second.values(), key=Counter.total, default=Counter())


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
