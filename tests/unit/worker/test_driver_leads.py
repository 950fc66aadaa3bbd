"""A task that was given ahead and becomes the first by what another thread does has its time from then."""

from __future__ import annotations

import time

from kubemr.worker.assignment import JobInfo
from kubemr.worker.child_process import ChildProcess
from kubemr.worker.desk import Desk, Flight
from kubemr.worker.driver import Driver
from support.workerharness import Harness, map_task

SECONDS = 60.0


def test_it_is_not_late_from_the_beginning(harness: Harness) -> None:
    """Step by step, as no test can meet the moment between the driver's look at the desk and its wait."""
    command = harness.program("class Worker(JobWorker):\n    def map(self, input):\n        return {}")
    desk = Desk()
    driver = Driver(
        desk,
        JobInfo("words"),
        SECONDS,
        lambda: ChildProcess(command, harness.environ(), 1, 2, 0),
        lambda event, **fields: harness.events.append(event),
    )
    driver.early = True
    try:
        driver._drive()  # the child starts, and is ready
        desk.begin([map_task(0), map_task(1)])
        first = desk.take_off(time.monotonic(), time.monotonic() + SECONDS)
        new: list[Flight] = []
        desk.follow(2, new.extend)
        (second,) = new
        assert first is not None
        desk.recall = lambda: [first.seq]
        assert desk.take_back() == [map_task(0)]
        running = desk.running()
        assert running is not None
        assert running[0] == map_task(1)
        assert running[1] < SECONDS
        before = time.monotonic()
        driver._await()  # ends by the desk's bell
        assert desk.flight is second
        assert before <= second.began <= second.deadline - SECONDS
        assert harness.events == ["child_started"]
    finally:
        desk.stop()
        driver.run()
        desk.close()
    assert harness.events == ["child_started", "child_ended"]
