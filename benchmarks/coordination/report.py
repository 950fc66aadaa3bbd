"""What was measured, as the list that is written to `build/bench/coordination.json`.

Of each figure `name`, `value`, `unit` and the number of `tasks`; of a comparison also the peer's, and `ratio`, ours
over the peer's; with what each round has measured in `rounds` and `peer_rounds`, where a value is a median.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from coordination.comparison import Comparison, comparisons
from coordination.jobrun import Ran
from coordination.jobs import LASTING_SECONDS
from coordination.measured import (
    COST,
    FIGURES,
    LOST,
    PATCHES,
    RATE,
    Figure,
    Measured,
)


def results(measured: Measured) -> list[dict[str, Any]]:
    """All of it."""
    found = [_entry(figure, same) for same in measured.runs for figure in FIGURES]
    for size, ran in measured.sized.items():
        found += [_entry(figure, [ran], f", shards of {size}") for figure in (RATE, COST, PATCHES)]
    for ran in measured.lasting:
        whose = f" of {LASTING_SECONDS:g} s, {ran.workers} workers on {ran.shards} shards"
        found += [_entry(figure, [ran], whose) for figure in (PATCHES, LOST)]
    for peer in measured.peers:
        found += map(_compared, comparisons(measured, peer))
    return [*found, *_one_object(measured)]


def _entry(figure: Figure, runs: Sequence[Ran], suffix: str = "") -> dict[str, Any]:
    entry = {
        "name": figure.name + suffix,
        "tasks": runs[0].tasks,
        "value": _digits(figure.median(runs)),
        "unit": figure.unit,
    }
    return entry | ({"rounds": [_digits(figure.of(ran)) for ran in runs]} if len(runs) > 1 else {})


def _compared(comparison: Comparison) -> dict[str, Any]:
    ours, peer, clock = comparison.ours, comparison.peer, comparison.clock
    entry = {
        "name": f"{clock.name} against {peer.title}, {peer.tasks} tasks",
        "tasks": ours[0].tasks,
        "value": round(clock.median(ours), 1),
        "unit": clock.unit,
        "rounds": [_digits(clock.of(ran)) for ran in ours],
        "peer": peer.title,
        "peer_clock": peer.clock,
        "peer_tasks": peer.tasks,
        "peer_value": _digits(peer.rate),
        "peer_rounds": [_digits(rate) for rate in peer.rates],
        "ratio": _digits(comparison.ratio),
    }
    return entry | ({"ratio_in_every_round": _digits(comparison.least)} if comparison.least is not None else {})


def _one_object(measured: Measured) -> Iterator[dict[str, Any]]:
    """What a task costs the servers in the first design, and in our job of as many, where there was one."""
    theirs, tasks = measured.one_cost, measured.one[0].tasks
    same = measured.of(tasks)
    if same is not None:
        ours = COST.median(same)
        yield {
            "name": f"{COST.name} against all tasks in one object, {tasks} tasks",
            "tasks": tasks,
            "value": _digits(ours),
            "unit": COST.unit,
            "peer": "all tasks in one object",
            "peer_tasks": tasks,
            "peer_value": _digits(theirs),
            "ratio": _digits(ours / theirs),
        }


def _digits(value: float) -> float:
    """Four of them."""
    return float(f"{value:.4g}")
