"""A process that does not get ready."""

from __future__ import annotations

import sys
import time

import pytest

from support.workerharness import Harness, map_task, outcomes

NOT_READY = "before it was ready (at import, in worker_init, or without a call of kubemr.serve)"
STARTS = {
    "raises at import": (
        "raise ImportError('no module named torch')",
        f"the worker process exited with status 1 {NOT_READY}; the end of its stderr:",
        "ImportError: no module named torch",
    ),
    "raises in worker_init": (
        "class Worker(JobWorker):\n    def worker_init(self): raise OSError('no such model')",
        "Worker.worker_init failed: OSError: no such model",
        "in worker_init",
    ),
    "exits in worker_init": (
        "class Worker(JobWorker):\n    def worker_init(self): sys.exit(9)",
        "Worker.worker_init failed: SystemExit: 9",
        "in worker_init",
    ),
    "dies in worker_init": (
        "class Worker(JobWorker):\n    def worker_init(self): os._exit(9)",
        f"the worker process exited with status 9 {NOT_READY}; it wrote nothing to stderr",
        "",
    ),
    "never serves": (
        "sys.exit(0)",
        f"the worker process exited with status 0 {NOT_READY}; it wrote nothing to stderr",
        "",
    ),
}


@pytest.mark.parametrize(("source", "summary", "detail"), STARTS.values(), ids=STARTS.keys())
def test_every_task_fails_with_the_reason(harness: Harness, source: str, summary: str, detail: str) -> None:
    """No task is lost and none hangs."""
    for outcome in harness.run(source, map_task(0), map_task(1)):
        assert outcome.kind == "failed"
        assert outcome.message.startswith(summary)
        assert detail in outcome.message


def test_a_program_that_is_not_there(harness: Harness) -> None:
    """The command is named."""
    executor = harness.executor(command=[str(harness.directory / "nowhere")])
    executor.begin([map_task(0)])
    (outcome,) = outcomes(executor, 1)
    assert outcome.kind == "failed"
    assert outcome.message.startswith("the worker process could not be started: ")
    assert "nowhere" in outcome.message


def test_starts_that_fail_are_not_repeated_in_a_hot_loop(harness: Harness) -> None:
    """Each waits longer than the one before: 0.1 s, doubling, at least half of it."""
    executor = harness.executor(command=[sys.executable, "-S", "-c", "raise SystemExit(1)"])
    began = time.monotonic()
    executor.begin([map_task(number) for number in range(4)])
    assert len(outcomes(executor, 4)) == 4
    assert time.monotonic() - began > 0.05 + 0.1 + 0.2


def test_what_waits_for_the_next_start_can_be_taken_back(harness: Harness) -> None:
    """It has not begun."""
    executor = harness.executor(command=[sys.executable, "-S", "-c", "raise SystemExit(1)"])
    tasks = [map_task(number) for number in range(50)]
    executor.begin(tasks)
    (outcome,) = executor.wait(60)
    assert outcome.assignment == tasks[0]
    assert executor.take_back() == tasks[1:]


def test_worker_init_runs_once_in_a_process_and_knows_the_job(harness: Harness) -> None:
    """Not once per task."""
    found = harness.run(
        """
        class Worker(JobWorker):
            calls = 0
            def worker_init(self):
                self.calls += 1
                assert self.job.name == "words" and self.job.namespace == "default" and self.job.partitions == 4
            def map(self, input):
                assert self.calls == 1
                return {}
        """,
        *(map_task(number) for number in range(3)),
    )
    assert [outcome.kind for outcome in found] == ["empty"] * 3
