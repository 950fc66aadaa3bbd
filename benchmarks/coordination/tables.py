"""What was measured, for people: in Markdown, as docs/coordination.md has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coordination.comparison import Comparison, comparisons
from coordination.jobs import LASTING_SECONDS
from coordination.measured import (
    CLOCKS,
    COST,
    FIGURES,
    LOST,
    PATCHES,
    RATE,
    Measured,
    Peer,
)
from figures import shown


def tables(measured: Measured) -> str:
    """All of them."""
    parts = [_ours(measured), _others(measured), _clocks(measured), _one_object(measured), _lasting(measured)]
    return "\n\n".join(["", *parts, _sized(measured)]) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def _ours(measured: Measured) -> str:
    runs = measured.runs
    head = [
        f"kubemr, {runs[0][0].workers} workers, medians of {len(runs[0])}",
        *(f"{s[0].tasks:,} tasks" for s in runs),
    ]
    rows = [[f"{each.name}, {each.unit}", *(shown(each.median(same)) for same in runs)] for each in FIGURES]
    return _table(head, rows)


def _others(measured: Measured) -> str:
    """A peer's rate; how many times that is ours, by each of our clocks: of our largest job, and of one as large."""
    largest = measured.largest[0].tasks
    head = [
        "others",
        "tasks",
        "tasks/s (rounds)",
        f"kubemr with {largest:,} is",
        "kubemr with as many is",
        "each round",
    ]
    return _table(head, (_other(measured, peer) for peer in measured.peers))


def _other(measured: Measured, peer: Peer) -> list[str]:
    found = comparisons(measured, peer)
    largest = [each for each in found if each.ours is measured.largest]
    same = [each for each in found if each.ours[0].tasks == peer.tasks]
    rounds = ", ".join(map(shown, peer.rates)) if len(peer.rates) > 1 else "once"
    least = largest[0].least
    return [
        peer.title,
        f"{peer.tasks:,}",
        f"{shown(peer.rate)} ({rounds})",
        _times(largest),
        _times(same) if same else "not measured",
        "once" if least is None else f"at least {least:,.1f}",
    ]


def _times(found: Sequence[Comparison]) -> str:
    return " / ".join(f"{each.ratio:,.1f}" for each in found) + " times"


def _clocks(measured: Measured) -> str:
    """What the seconds of each side are."""
    ours = (
        f"kubemr is given as {' / '.join(clock.name for clock in CLOCKS)}; at least so often in each round by the first"
    )
    theirs = {
        peer.clock: [each.title for each in measured.peers if each.clock == peer.clock] for peer in measured.peers
    }
    lines = [f"- {'; '.join(dict.fromkeys(titles))}: {clock}." for clock, titles in theirs.items()]
    return "\n".join([f"- {ours}.", *lines])


def _one_object(measured: Measured) -> str:
    """What a task costs the servers there, and in our jobs."""
    theirs = measured.one_cost
    rows = [
        [f"{same[0].tasks:,}", shown(COST.median(same)), shown(theirs), f"{theirs / COST.median(same):,.0f} times"]
        for same in measured.runs
    ]
    one = f"{measured.one[0].tasks:,} tasks in one object"
    return _table([f"{COST.name}, {COST.unit}: tasks", "kubemr", one, "that is"], rows)


def _lasting(measured: Measured) -> str:
    rows = [
        [
            f"{ran.tasks:,}, {ran.workers} workers on {ran.shards} shards",
            shown(PATCHES.of(ran)),
            f"{LOST.of(ran):.3g}",
            shown(PATCHES.of(ran) + LOST.of(ran)),
        ]
        for ran in measured.lasting
    ]
    return _table([f"tasks of {LASTING_SECONDS:g} s", PATCHES.name, LOST.name, "together"], rows)


def _sized(measured: Measured) -> str:
    """Each once."""
    sized = measured.sized
    head = [f"shards of, {next(iter(sized.values())).tasks:,} tasks", *map(str, sized)]
    figures = (RATE, COST, PATCHES)
    return _table(head, ([f"{f.name}, {f.unit}", *(shown(f.of(ran)) for ran in sized.values())] for f in figures))
