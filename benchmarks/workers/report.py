"""What was measured of both sides, for people and as the list that is written; and the promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from figures import percentile, shown
from workers.life import LEASE_SECONDS
from workers.recorded import RENEWAL, Asked, Phase, busiest
from workers.side import Side

LONGEST_LEASE = 4 * LEASE_SECONDS
"""Of a job of so many workers: docs/large-clusters.md."""
WITHOUT = "without kubemr's priority levels"


@frozen
class Figure:
    """One thing that is measured of each phase of a side."""

    name: str
    unit: str
    of: Callable[[Phase, Sequence[Asked]], float]
    """From the phase and the workers' requests in it."""


def _renewals(asked: Sequence[Asked]) -> list[Asked]:
    return [each for each in asked if each.what == RENEWAL]


def _refused(asked: Sequence[Asked]) -> int:
    return sum(each.status == 429 or each.status >= 500 for each in asked)


def _waited(asked: Sequence[Asked], share: float) -> float:
    """Milliseconds, of the renewals that were served."""
    return 1000 * percentile([each.seconds for each in _renewals(asked) if each.status == 200], share)


P99 = Figure("renewals, p99", "ms", lambda phase, asked: _waited(asked, 0.99))
REFUSED = Figure("renewals refused", "", lambda phase, asked: _refused(_renewals(asked)))
RATE = Figure("requests of all workers", "1/s", lambda phase, asked: len(asked) / phase.seconds)
FIGURES = (
    RATE,
    Figure("busiest second", "1/s", lambda phase, asked: busiest(asked).total()),
    Figure("renewals", "1/s", lambda phase, asked: len(_renewals(asked)) / phase.seconds),
    Figure("renewals, p50", "ms", lambda phase, asked: _waited(asked, 0.5)),
    P99,
    Figure("renewals, longest", "ms", lambda phase, asked: _waited(asked, 1.0)),
    REFUSED,
    Figure("answers 429", "", lambda phase, asked: sum(each.status == 429 for each in asked)),
    Figure("answers 5xx", "", lambda phase, asked: sum(each.status >= 500 for each in asked)),
    Figure("apiserver and etcd", "cores", lambda phase, asked: phase.cores),
)


def results(ours: Side, plain: Side, workers: int) -> list[dict[str, Any]]:
    """As they are written: `name`, `value`, `unit`, and `peer`, `peer_value`, `ratio` (the peer's over ours)."""
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
        asked, theirs = phase.of(ours.workers), other.of(plain.workers)
        for figure in FIGURES:
            add(f"{phase.name}: {figure.name}", figure.unit, figure.of(phase, asked), figure.of(other, theirs))
        for what, number in Counter(each.what for each in asked).most_common():
            add(f"{phase.name}: {what}", "1/s", number / phase.seconds)
        add(f"{phase.name}: requests of the operator", "1/s", len(phase.of(ours.operator)) / phase.seconds)
    add("watches open at once, most", "", ours.watches, plain.watches)
    add("workers that lost their Lease", "", ours.leases_lost, plain.leases_lost)
    add("requests without an answer", "", sum(ours.unanswered.values()), sum(plain.unanswered.values()))
    add("one renewal: apiserver and etcd", "ms", ours.renewal_cpu)
    add("one renewal: the Lease as JSON", "bytes", ours.renewal_bytes)
    return found


def table(ours: Side, plain: Side) -> str:
    """In Markdown, as docs/large-clusters.md has it; in brackets without the levels."""
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
        made_of = ", ".join(f"{number} {what}" for what, number in busiest(phase.of(ours.workers)).most_common(6))
        lines.append(f"\n{phase.name}, the busiest second: {made_of}")
    return "\n".join(lines) + "\n"


def promises(ours: Side, plain: Side, workers: int) -> list[tuple[str, bool]]:
    """Each with whether it is kept."""
    asked = {phase.name: phase.of(ours.workers) for phase in ours.phases}
    refused = _refused(_renewals(ours.workers))
    longest = _waited(ours.workers, 1.0) / 1000
    idle = next(phase for phase in ours.phases if phase.name == "idle")
    each = RATE.of(idle, asked["idle"]) / workers
    theirs = _refused(_renewals(plain.workers))
    return [
        (f"no renewal is refused: {refused} ({theirs} {WITHOUT})", refused == 0),
        (f"no worker loses its Lease: {ours.leases_lost}", ours.leases_lost == 0),
        (f"a renewal takes a tenth of a Lease at most: {longest:.2f} s", longest <= LONGEST_LEASE / 10),
        (f"at most one watch for each worker: {ours.watches}", ours.watches <= workers),
        (f"an idle worker asks for at most one thing in two seconds: {each:.2f} a second", each <= 0.5),
        (f"every request is answered: {dict(ours.unanswered)}", not ours.unanswered),
    ]
