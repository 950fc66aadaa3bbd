"""A task that was given ahead, and becomes the first by what another thread does, begins then and has done no wrong.

Step by step, as no test can meet the moments between two looks of the driver at the desk.
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
def desk() -> ExecutionQueue:
    """An empty one."""
    return ExecutionQueue()


@pytest.fixture
def driver(desk: ExecutionQueue, harness: Harness) -> Iterator[ChildSupervisor]:
    """Its child has started, and is ready; it ends with the test."""
    command = harness.program("class Worker(JobWorker):\n    def map(self, input):\n        return {}")
    driver = ChildSupervisor(
        desk,
        JobInfo("words"),
        SECONDS,
        lambda: ChildProcess(command, harness.environ(), 1, 2, 0),
        lambda event, **fields: harness.events.append(event),
    )
    driver.start_early = True
    try:
        driver._step()
        assert driver._ready
        yield driver
    finally:
        desk.stop()
        driver.run()
        desk.close()
    assert harness.events == ["child_started", "child_ended"]


def two(desk: ExecutionQueue) -> list[InFlight]:
    """Two tasks are with the child."""
    desk.submit([map_task(0), map_task(1)])
    first = desk.start_next(time.monotonic(), time.monotonic() + SECONDS)
    assert first is not None
    flights = [first]
    desk.prefetch(2, flights.extend)
    return flights


def test_it_is_not_late_from_the_beginning(desk: ExecutionQueue, driver: ChildSupervisor, harness: Harness) -> None:
    """Its time begins when the one before it is taken back."""
    first, second = two(desk)
    desk.recall = lambda: [first.seq]
    assert desk.withdraw() == [map_task(0)]
    assert desk.running is second
    assert not second.started_at
    before = time.monotonic()
    driver._wait_and_handle()  # ends by the desk's bell
    assert desk.running is second
    assert before <= second.started_at <= second.deadline - SECONDS
    assert harness.events == ["child_started"]


def test_it_has_not_failed_by_what_the_one_before_it_did(
    desk: ExecutionQueue, driver: ChildSupervisor, harness: Harness
) -> None:
    """That one's time is over, and it is cancelled before its process is ended: the other begins anew in the next."""
    first, _ = two(desk)
    desk.recall = list  # the child has begun both
    assert driver._child is not None
    assert desk.cancel(first.assignment)
    driver._fail_child(driver._child, "no progress", first)
    assert desk.running is None
    assert desk.withdraw() == [map_task(1)]
    assert desk.wait(0.0) == []
    assert harness.events == ["child_started", "child_ended"]
