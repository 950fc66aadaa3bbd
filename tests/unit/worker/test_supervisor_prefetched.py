"""A prefetched attempt that becomes the first because another thread removes the one before starts then.

The tests call the supervisor step by step, because no test can hit the moments between two of its steps.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kubemr.worker.assignment import JobInfo
from kubemr.worker.execution.child_process import ChildProcess
from kubemr.worker.execution.queue import ExecutionQueue, InFlight
from kubemr.worker.execution.supervisor import ChildSupervisor
from support.workerharness import Harness, map_task

SECONDS = 60.0


@pytest.fixture
def queue() -> ExecutionQueue:
    """An empty queue."""
    return ExecutionQueue()


@pytest.fixture
def supervisor(queue: ExecutionQueue, harness: Harness) -> Iterator[ChildSupervisor]:
    """A supervisor whose child is ready; it ends with the test."""
    command = harness.program("class Worker(JobWorker):\n    def map(self, input):\n        return {}")
    supervisor = ChildSupervisor(
        queue,
        JobInfo("words"),
        SECONDS,
        lambda: ChildProcess(command, harness.environ(), 1, 2, 0),
        lambda event, **fields: harness.events.append(event),
    )
    supervisor.start_early = True
    try:
        supervisor._step()
        assert supervisor._ready
        yield supervisor
    finally:
        queue.stop()
        supervisor.run()
        queue.close()
    assert harness.events == ["child_started", "child_ended"]


def two_in_flight(queue: ExecutionQueue) -> list[InFlight]:
    """Put two attempts in flight."""
    queue.submit([map_task(0), map_task(1)])
    first = queue.start_next(time.monotonic(), time.monotonic() + SECONDS)
    assert first is not None
    in_flight = [first]
    queue.prefetch(2, in_flight.extend)
    return in_flight


def test_its_time_starts_then(queue: ExecutionQueue, supervisor: ChildSupervisor, harness: Harness) -> None:
    """Its time starts when the attempt before it is withdrawn."""
    first, second = two_in_flight(queue)
    queue.recall = lambda: [first.seq]
    assert queue.withdraw() == [map_task(0)]
    assert queue.running is second
    assert not second.started_at
    before = time.monotonic()
    supervisor._wait_and_handle()  # the queue's wake-up ends it
    assert queue.running is second
    assert before <= second.started_at <= second.deadline - SECONDS
    assert harness.events == ["child_started"]


def test_it_does_not_fail_by_a_time_out_of_the_attempt_before(
    queue: ExecutionQueue, supervisor: ChildSupervisor, harness: Harness
) -> None:
    """The first times out, and is cancelled before its process is killed: the other runs in the next process."""
    first, _ = two_in_flight(queue)
    queue.recall = list  # the child has begun both
    assert supervisor._child is not None
    assert queue.cancel(first.assignment)
    supervisor._fail_child(supervisor._child, "no progress", first)
    assert queue.running is None
    assert queue.withdraw() == [map_task(1)]
    assert queue.wait(0.0) == []
    assert harness.events == ["child_started", "child_ended"]
