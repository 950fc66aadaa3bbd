"""`complete_all` records the outcomes of attempts in flight, in order, except those that were cancelled."""

from __future__ import annotations

import time

import pytest

from kubemr.worker.assignment import OutcomeKind
from kubemr.worker.execution.queue import ExecutionQueue, InFlight
from support.workerharness import map_task

LONG = 60.0


def put_in_flight(queue: ExecutionQueue, count: int) -> list[InFlight]:
    """Put `count` attempts in flight."""
    queue.submit([map_task(number) for number in range(count)])
    first = queue.start_next(0.0, LONG)
    assert first is not None
    in_flight = [first]
    queue.prefetch(count, in_flight.extend)
    return in_flight


def numbers(queue: ExecutionQueue) -> list[int]:
    """Return the numbers of the tasks that have outcomes."""
    return [outcome.assignment.number for outcome in queue.wait(0.0)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_was_cancelled_has_no_outcome(count: int) -> None:
    """Those behind it have theirs; the next attempt begins with the last result."""
    queue = ExecutionQueue()
    in_flight = put_in_flight(queue, 4)
    assert queue.cancel(in_flight[1].assignment)
    before = time.monotonic()
    kinds: list[OutcomeKind] = ["done", "empty", "empty", "done"]
    results = [(attempt.seq, kind, 0.25) for attempt, kind in zip(in_flight[:count], kinds, strict=False)]
    recorded, following = queue.complete_all(results)
    assert recorded == len({0, 2} & set(range(count)))
    assert following is (in_flight[2] if count < 3 else in_flight[3])
    assert following.started_at >= before
    found = queue.wait(0.0)
    assert [(each.assignment.number, each.seconds) for each in found] == [
        (number, 0.25) for number in range(count) if number != 1
    ]
    assert [each.kind for each in found] == [kind for seq, kind, _ in results if seq != in_flight[1].seq]
    queue.close()


def test_results_of_cancelled_attempts_change_nothing() -> None:
    """They do not mark the next attempt as begun."""
    queue = ExecutionQueue()
    first, second = put_in_flight(queue, 2)
    assert queue.cancel(first.assignment)
    began = second.started_at
    assert queue.complete_all([(first.seq, "empty", 0.1)]) == (0, second)
    assert second.started_at == began
    assert numbers(queue) == []
    assert queue.complete_all([(second.seq, "empty", 0.1)]) == (1, None)
    assert numbers(queue) == [1]
    queue.close()
