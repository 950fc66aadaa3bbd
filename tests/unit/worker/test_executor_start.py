"""A process that does not get ready."""

from __future__ import annotations

import errno
import os
import resource
import sys
import tempfile
import threading
import time

import pytest

from kubemr.worker.assignment import Assignment, JobInfo
from kubemr.worker.execution.child_process import ChildProcess
from kubemr.worker.execution.executor import ProcessExecutor
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
    "serves the class": (
        "class Worker(JobWorker): pass\nWorker = lambda made=Worker: made",
        f"the worker process exited with status 1 {NOT_READY}",
        "TypeError: kubemr.serve(Worker): this is the class; pass an instance, Worker()",
    ),
    "serves something else": (
        "Worker = dict",
        f"the worker process exited with status 1 {NOT_READY}",
        "TypeError: kubemr.serve({}): pass an instance of a subclass of kubemr.JobWorker",
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
    executor.submit([map_task(0)])
    (outcome,) = outcomes(executor, 1)
    assert outcome.kind == "failed"
    assert outcome.message.startswith("the worker process could not be started: ")
    assert "nowhere" in outcome.message


def test_starts_that_fail_are_not_repeated_in_a_hot_loop(harness: Harness) -> None:
    """Each waits longer than the one before: 0.1 s, doubling, at least half of it."""
    executor = harness.executor(command=[sys.executable, "-S", "-c", "raise SystemExit(1)"])
    began = time.monotonic()
    executor.submit([map_task(number) for number in range(4)])
    assert len(outcomes(executor, 4)) == 4
    assert time.monotonic() - began > 0.05 + 0.1 + 0.2


def test_tasks_that_wait_for_the_next_start_can_be_withdrawn(harness: Harness) -> None:
    """They have not begun.  The fifth start waits for at least 0.4 s."""
    executor = harness.executor(command=[sys.executable, "-S", "-c", "raise SystemExit(1)"])
    tasks = [map_task(number) for number in range(50)]
    executor.submit(tasks)
    found = [outcome.assignment for outcome in outcomes(executor, 4)]
    assert found + executor.withdraw() == tasks


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


def test_a_bug_of_the_runtime_is_not_a_silent_hang(harness: Harness) -> None:
    """If the supervisor's thread ends by a bug, `wait` raises an error."""

    def broken(event: str, **fields: object) -> None:
        raise LookupError("no such logger")

    seen: list[threading.ExceptHookArgs] = []
    hook, threading.excepthook = threading.excepthook, seen.append
    try:
        with ProcessExecutor(
            JobInfo("j"), task_timeout=60, command=[sys.executable, "-c", ""], environ=harness.environ(), log=broken
        ) as executor:
            executor.submit([map_task(0)])
            with pytest.raises(RuntimeError, match="ended with an internal error") as caught:
                executor.wait(60)
    finally:
        threading.excepthook = hook
    assert isinstance(caught.value.__cause__, LookupError)
    assert seen


def test_a_time_out_must_be_positive() -> None:
    """The value is named."""
    with pytest.raises(ValueError, match="task timeout 0 s: must be above 0"):
        ProcessExecutor(JobInfo("j"), task_timeout=0, command=["true"])


def test_a_key_prefix_ends_in_a_slash() -> None:
    """Otherwise `1-w0-abc123` and `outputs.json` would make one name."""
    with pytest.raises(ValueError, match="prefix 'job/0/map/0': a key prefix ends in a slash"):
        Assignment(0, "map", 0, "1-w0-abc123", "job/0/map/0", 4)


def test_a_start_that_fails_for_want_of_descriptors_leaves_none_open(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it fails; nor does its directory stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(harness.temporary))
    before, (limit, hard) = len(os.listdir("/proc/self/fd")), resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(1)  # the lowest number that is
    os.close(free)
    failed = 0
    for spare in range(40):
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + spare, hard))
        try:
            child = ChildProcess([sys.executable, "-c", ""], harness.environ(), 1, 2, 0)
        except OSError as error:
            assert error.errno == errno.EMFILE  # noqa: PT017 - that it fails is what is tried out
            failed += 1
        else:
            child.kill()
            child.reap()
            break
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        assert len(os.listdir("/proc/self/fd")) <= before
        assert not list(harness.temporary.iterdir())
    assert failed > 10
