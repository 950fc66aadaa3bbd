"""Outcomes of quick tasks are handed over together, and what is urgent is not held up."""

from __future__ import annotations

import threading

import pytest

import kubemr.worker.execution.queue
from kubemr.worker.assignment import Outcome, OutcomeKind
from kubemr.worker.execution.queue import LINGER_SECONDS, ExecutionQueue
from support.workerharness import map_task

LONG = 60.0
"""A test that waits for so long has failed."""


def finish(desk: ExecutionQueue, kind: OutcomeKind = "empty") -> None:
    """The first of the queue begins, and ends as it is told."""
    desk.start_next(0.0, LONG)
    flight = desk.running
    assert flight is not None
    desk.complete(flight, Outcome(flight.assignment, kind))


def numbers(outcomes: list[Outcome]) -> list[int]:
    """Of which tasks."""
    return [outcome.assignment.number for outcome in outcomes]


def test_all_outcomes_of_a_batch_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One wake-up for it, and not one for each task."""
    monkeypatch.setattr(
        kubemr.worker.execution.queue, "LINGER_SECONDS", LONG
    )  # longer than a busy machine holds up this thread
    desk = ExecutionQueue()
    desk.submit([map_task(number) for number in range(3)])
    found: list[list[Outcome]] = []
    waiting = threading.Thread(target=lambda: found.append(desk.wait(LONG)))
    waiting.start()
    for _ in range(3):
        finish(desk)
    waiting.join(LONG)
    assert [numbers(each) for each in found] == [[0, 1, 2]]
    desk.close()


def test_what_came_is_not_held_up_for_long_by_what_is_to_come() -> None:
    """A slow task after a quick one: the quick one's outcome is handed over without it."""
    desk = ExecutionQueue()
    desk.submit([map_task(0), map_task(1)])
    finish(desk)
    desk.start_next(0.0, LONG)
    assert LINGER_SECONDS <= 0.1
    assert numbers(desk.wait(LONG)) == [0]
    desk.close()


def test_a_failure_comes_at_once() -> None:
    """What waits behind it can still be taken back."""
    desk = ExecutionQueue()
    desk.submit([map_task(0), map_task(1)])
    found: list[list[Outcome]] = []
    waiting = threading.Thread(target=lambda: found.append(desk.wait(LONG)))
    waiting.start()
    finish(desk, "failed")
    waiting.join(LONG)
    assert [numbers(each) for each in found] == [[0]]
    assert [each.number for each in desk.withdraw()] == [1]
    desk.close()


def test_without_anything_to_come_it_does_not_wait() -> None:
    """Not a moment longer than the last outcome."""
    desk = ExecutionQueue()
    desk.submit([map_task(0)])
    finish(desk)
    assert numbers(desk.wait(0.0)) == [0]
    desk.close()
