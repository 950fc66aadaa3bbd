"""User code that holds the interpreter's lock."""

from __future__ import annotations

import time

from support.workerharness import Harness, Pipe, map_task, outcomes, running_attempt

# One bytecode that takes minutes and never releases the lock.
HOLDS_THE_LOCK = """
class Worker(JobWorker):
    def map(self, input):
        exponent = 300_000_000
        print("holding", flush=True)
        7 ** exponent
        return {}
"""


def test_the_runtime_is_not_blocked_while_a_mapper_holds_the_lock(harness: Harness, pipe: Pipe) -> None:
    """Every public method returns immediately, and the mapper can be killed."""
    executor = harness.executor(HOLDS_THE_LOCK, stdout=pipe.writing)
    held, queued = map_task(0), map_task(1)
    executor.submit([held, queued])
    assert pipe.lines.readline() == "holding\n"
    began = time.monotonic()
    for _ in range(10):
        assert executor.wait(0.01) == []
        assert running_attempt(executor) == held
    assert executor.withdraw() == [queued]
    assert executor.cancel(held)
    executor.stop()
    assert time.monotonic() - began < 10


def test_the_time_out_ends_a_mapper_that_holds_the_lock(harness: Harness) -> None:
    """It cannot be asked to stop, so it is killed."""
    executor = harness.start_and_wait(harness.executor(HOLDS_THE_LOCK, task_timeout=3.0))
    executor.submit([map_task(0)])
    (outcome,) = outcomes(executor, 1)
    assert outcome.message.startswith("no progress for 3 s")
