"""Report both measurements, as a table and as the list of results, and check the promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from figures import percentile, shown
from workers.life import LEASE_SECONDS
from workers.measurement import Measurement
from workers.recorded import RENEWAL, Phase, RecordedRequest, busiest_second

LONGEST_LEASE = 4 * LEASE_SECONDS
"""The Lease duration of a job of 1,000 workers (docs/large-clusters.md)."""
WITHOUT = "without kubemr's priority levels"


@frozen
class Figure:
    """One figure that is computed for each phase of a measurement."""

    name: str
    unit: str
    of: Callable[[Phase, Sequence[RecordedRequest]], float]
    """Computes the figure from the phase and the workers' requests in it."""


def _renewals(requests: Sequence[RecordedRequest]) -> list[RecordedRequest]:
    return [each for each in requests if each.what == RENEWAL]


def _count_rejected(requests: Sequence[RecordedRequest]) -> int:
    return sum(each.status == 429 or each.status >= 500 for each in requests)


def _renewal_milliseconds(requests: Sequence[RecordedRequest], share: float) -> float:
    """Return a percentile of the milliseconds of successful renewals."""
    return 1000 * percentile([each.seconds for each in _renewals(requests) if each.status == 200], share)


P99 = Figure("renewals, p99", "ms", lambda phase, requests: _renewal_milliseconds(requests, 0.99))
REJECTED = Figure("renewals refused", "", lambda phase, requests: _count_rejected(_renewals(requests)))
RATE = Figure("requests of all workers", "1/s", lambda phase, requests: len(requests) / phase.seconds)
FIGURES = (
    RATE,
    Figure("busiest second", "1/s", lambda phase, requests: busiest_second(requests).total()),
    Figure("renewals", "1/s", lambda phase, requests: len(_renewals(requests)) / phase.seconds),
    Figure("renewals, p50", "ms", lambda phase, requests: _renewal_milliseconds(requests, 0.5)),
    P99,
    Figure("renewals, longest", "ms", lambda phase, requests: _renewal_milliseconds(requests, 1.0)),
    REJECTED,
    Figure("answers 429", "", lambda phase, requests: sum(each.status == 429 for each in requests)),
    Figure("answers 5xx", "", lambda phase, requests: sum(each.status >= 500 for each in requests)),
    Figure("apiserver and etcd", "cores", lambda phase, requests: phase.cores),
)


def results(ours: Measurement, plain: Measurement, workers: int) -> list[dict[str, Any]]:
    """Return the results: `name`, `value`, `unit`, and `peer`, `peer_value`, `ratio` (the peer's over ours)."""
    found: list[dict[str, Any]] = []

    def add(name: str, unit: str, value: float, other: float | None = None) -> None:
        entry: dict[str, Any] = {"name": name, "value": round(value, 3), "unit": unit}
        if other is not None:
            entry |= {"peer": WITHOUT, "peer_value": round(other, 3)}
            if value:
                entry["ratio"] = round(other / value, 2)
        found.append(entry)

    add("workers", "", workers)
    add("deployment", "s", ours.deployment)
    for phase, other in zip(ours.phases, plain.phases, strict=True):
        requests, theirs = phase.of(ours.workers), other.of(plain.workers)
        for figure in FIGURES:
            add(f"{phase.name}: {figure.name}", figure.unit, figure.of(phase, requests), figure.of(other, theirs))
        for what, number in Counter(each.what for each in requests).most_common():
            add(f"{phase.name}: {what}", "1/s", number / phase.seconds)
        add(f"{phase.name}: requests of the operator", "1/s", len(phase.of(ours.operator)) / phase.seconds)
    add("watches open at once, most", "", ours.watches, plain.watches)
    add("workers that lost their Lease", "", ours.leases_lost, plain.leases_lost)
    add("requests without an answer", "", sum(ours.unanswered.values()), sum(plain.unanswered.values()))
    add("one renewal: apiserver and etcd", "ms", ours.renewal_cpu)
    add("one renewal: the Lease as JSON", "bytes", ours.renewal_bytes)
    return found


def table(ours: Measurement, plain: Measurement) -> str:
    """Return the table of docs/large-clusters.md, in Markdown; figures in brackets are without the levels."""
    lines = ["", "| | " + " | ".join(phase.name for phase in ours.phases) + " |", "| --- |" + " --- |" * 4]
    pairs = list(zip(ours.phases, plain.phases, strict=True))
    for figure in FIGURES:
        cells = [
            f"{shown(figure.of(phase, phase.of(ours.workers)))} ({shown(figure.of(other, other.of(plain.workers)))})"
            for phase, other in pairs
        ]
        name = f"{figure.name}, {figure.unit}" if figure.unit else figure.name
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for phase in ours.phases:
        made_of = ", ".join(
            f"{number} {what}" for what, number in busiest_second(phase.of(ours.workers)).most_common(6)
        )
        lines.append(f"\n{phase.name}, the busiest second: {made_of}")
    return "\n".join(lines) + "\n"


def promises(ours: Measurement, plain: Measurement, workers: int) -> list[tuple[str, bool]]:
    """Return each promise, and whether it holds."""
    requests = {phase.name: phase.of(ours.workers) for phase in ours.phases}
    refused = _count_rejected(_renewals(ours.workers))
    longest = _renewal_milliseconds(ours.workers, 1.0) / 1000
    idle = next(phase for phase in ours.phases if phase.name == "idle")
    each = RATE.of(idle, requests["idle"]) / workers
    theirs = _count_rejected(_renewals(plain.workers))
    return [
        (f"no renewal is refused: {refused} ({theirs} {WITHOUT})", refused == 0),
        (f"no worker loses its Lease: {ours.leases_lost}", ours.leases_lost == 0),
        (f"a renewal takes a tenth of a Lease at most: {longest:.2f} s", longest <= LONGEST_LEASE / 10),
        (f"at most one watch for each worker: {ours.watches}", ours.watches <= workers),
        (f"an idle worker asks for at most one thing in two seconds: {each:.2f} a second", each <= 0.5),
        (f"every request is answered: {dict(ours.unanswered)}", not ours.unanswered),
    ]
