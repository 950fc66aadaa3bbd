"""Outcomes that land together are those of what was in flight, in order, whatever was cancelled meanwhile."""

from __future__ import annotations

import time

import pytest

from kubemr.worker.assignment import OutcomeKind
from kubemr.worker.execution.queue import ExecutionQueue, InFlight
from support.workerharness import map_task

LONG = 60.0


def with_the_child(desk: ExecutionQueue, count: int) -> list[InFlight]:
    """So many tasks are in flight."""
    desk.submit([map_task(number) for number in range(count)])
    first = desk.start_next(0.0, LONG)
    assert first is not None
    flights = [first]
    desk.prefetch(count, flights.extend)
    return flights


def numbers(desk: ExecutionQueue) -> list[int]:
    """Of the tasks whose outcomes there are."""
    return [outcome.assignment.number for outcome in desk.wait(0.0)]


@pytest.mark.parametrize("answered", [1, 2, 3])
def test_what_was_cancelled_has_no_outcome(answered: int) -> None:
    """And those behind it have theirs; whoever is next begins with the last answer."""
    desk = ExecutionQueue()
    flights = with_the_child(desk, 4)
    assert desk.cancel(flights[1].assignment)
    before = time.monotonic()
    kinds: list[OutcomeKind] = ["done", "empty", "empty", "done"]
    answers = [(flight.seq, kind, 0.25) for flight, kind in zip(flights[:answered], kinds, strict=False)]
    landed, following = desk.complete_all(answers)
    assert landed == len({0, 2} & set(range(answered)))
    assert following is (flights[2] if answered < 3 else flights[3])
    assert following.started_at >= before
    found = desk.wait(0.0)
    assert [(each.assignment.number, each.seconds) for each in found] == [
        (number, 0.25) for number in range(answered) if number != 1
    ]
    assert [each.kind for each in found] == [kind for seq, kind, _ in answers if seq != flights[1].seq]
    desk.close()


def test_answers_of_nothing_in_flight_change_nothing() -> None:
    """Of tasks that were cancelled, the only ones: the next has not begun by them."""
    desk = ExecutionQueue()
    first, second = with_the_child(desk, 2)
    assert desk.cancel(first.assignment)
    began = second.started_at
    assert desk.complete_all([(first.seq, "empty", 0.1)]) == (0, second)
    assert second.started_at == began
    assert numbers(desk) == []
    assert desk.complete_all([(second.seq, "empty", 0.1)]) == (1, None)
    assert numbers(desk) == [1]
    desk.close()
