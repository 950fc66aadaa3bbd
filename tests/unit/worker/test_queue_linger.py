"""`wait` returns outcomes of quick tasks together, and failures immediately."""

from __future__ import annotations

import threading

import pytest

import kubemr.worker.execution.queue
from kubemr.worker.assignment import Outcome, OutcomeKind
from kubemr.worker.execution.queue import LINGER_SECONDS, ExecutionQueue
from support.workerharness import map_task

LONG = 60.0
"""A test that waits for so long has failed."""


def finish(queue: ExecutionQueue, kind: OutcomeKind = "empty") -> None:
    """Start the first queued attempt, and end it as `kind`."""
    queue.start_next(0.0, LONG)
    running = queue.running
    assert running is not None
    queue.complete(running, Outcome(running.assignment, kind))


def numbers(outcomes: list[Outcome]) -> list[int]:
    """Return the numbers of the tasks."""
    return [outcome.assignment.number for outcome in outcomes]


def test_all_outcomes_of_a_batch_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one wake-up, and not one for each task."""
    monkeypatch.setattr(
        kubemr.worker.execution.queue, "LINGER_SECONDS", LONG
    )  # longer than a busy machine holds up this thread
    queue = ExecutionQueue()
    queue.submit([map_task(number) for number in range(3)])
    found: list[list[Outcome]] = []
    waiting = threading.Thread(target=lambda: found.append(queue.wait(LONG)))
    waiting.start()
    for _ in range(3):
        finish(queue)
    waiting.join(LONG)
    assert [numbers(each) for each in found] == [[0, 1, 2]]
    queue.close()


def test_an_outcome_does_not_wait_long_for_the_next() -> None:
    """A slow task after a quick one: `wait` returns the quick one's outcome without it."""
    queue = ExecutionQueue()
    queue.submit([map_task(0), map_task(1)])
    finish(queue)
    queue.start_next(0.0, LONG)
    assert LINGER_SECONDS <= 0.1
    assert numbers(queue.wait(LONG)) == [0]
    queue.close()


def test_a_failure_comes_at_once() -> None:
    """The attempts behind it can still be withdrawn."""
    queue = ExecutionQueue()
    queue.submit([map_task(0), map_task(1)])
    found: list[list[Outcome]] = []
    waiting = threading.Thread(target=lambda: found.append(queue.wait(LONG)))
    waiting.start()
    finish(queue, "failed")
    waiting.join(LONG)
    assert [numbers(each) for each in found] == [[0]]
    assert [each.number for each in queue.withdraw()] == [1]
    queue.close()


def test_without_anything_to_come_it_does_not_wait() -> None:
    """Not a moment longer than the last outcome."""
    queue = ExecutionQueue()
    queue.submit([map_task(0)])
    finish(queue)
    assert numbers(queue.wait(0.0)) == [0]
    queue.close()
