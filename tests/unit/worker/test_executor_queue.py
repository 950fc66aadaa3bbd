"""Queued tasks: they run in order, and can be withdrawn, cancelled and waited for."""

from __future__ import annotations

import os
import threading

import pytest

from support.workerharness import Harness, Pipe, map_task, outcomes, running_attempt, wait_for_end

WAITS = """
class Worker(JobWorker):
    def map(self, input):
        print(self.task.number, os.getpid(), flush=True)
        if input:
            open(input).read()  # a fifo: ends when the test opens it
        return {}
"""


def test_tasks_run_in_order_in_one_process(harness: Harness, pipe: Pipe) -> None:
    """Each has one outcome, in the order in which they were queued."""
    executor = harness.executor(WAITS, stdout=pipe.writing)
    tasks = [map_task(number) for number in range(20)]
    executor.submit(tasks[:5])
    executor.submit(tasks[5:])
    found = outcomes(executor, 20)
    assert [outcome.assignment for outcome in found] == tasks
    assert {outcome.kind for outcome in found} == {"empty"}
    printed = [pipe.lines.readline().split() for _ in range(20)]
    assert [int(number) for number, _ in printed] == list(range(20))
    assert len({pid for _, pid in printed}) == 1
    assert running_attempt(executor) is None


def test_withdraw_returns_what_has_not_begun(harness: Harness, pipe: Pipe) -> None:
    """The running task continues; the others are returned in order and never run."""
    fifo = harness.directory / "fifo"
    os.mkfifo(fifo)
    executor = harness.executor(WAITS, stdout=pipe.writing)
    tasks = [map_task(0, str(fifo)), map_task(1), map_task(2)]
    executor.submit(tasks)
    assert pipe.lines.readline().startswith("0 ")
    assert running_attempt(executor) == tasks[0]
    assert executor.withdraw() == tasks[1:]
    assert executor.withdraw() == []
    fifo.write_text("")
    executor.submit([map_task(3)])
    assert [outcome.assignment.number for outcome in outcomes(executor, 2)] == [0, 3]
    assert pipe.lines.readline().startswith("3 ")


def test_cancel_kills_the_task_in_flight(harness: Harness, pipe: Pipe) -> None:
    """Its process is killed, it has no outcome, and the next task runs in a new process."""
    fifo = harness.directory / "fifo"
    os.mkfifo(fifo)
    executor = harness.executor(WAITS, stdout=pipe.writing)
    lost, kept = map_task(0, str(fifo)), map_task(1)
    executor.submit([lost, kept])
    pid = int(pipe.lines.readline().split()[1])
    assert executor.cancel(lost)
    wait_for_end(pid)
    assert [outcome.assignment for outcome in outcomes(executor, 1)] == [kept]
    assert int(pipe.lines.readline().split()[1]) != pid
    assert not executor.cancel(lost)


def test_cancel_removes_a_queued_task_and_an_outcome_not_yet_returned(harness: Harness, pipe: Pipe) -> None:
    """Wherever the attempt is, it has no outcome."""
    fifo = harness.directory / "fifo"
    os.mkfifo(fifo)
    executor = harness.executor(WAITS, stdout=pipe.writing)
    over, running, queued = map_task(0), map_task(1, str(fifo)), map_task(2)
    executor.submit([over, running, queued])
    pipe.lines.readline()
    pipe.lines.readline()
    assert executor.cancel(over)
    assert executor.cancel(queued)
    fifo.write_text("")
    assert [outcome.assignment for outcome in outcomes(executor, 1)] == [running]
    assert harness.events == ["child_started"]


def test_a_new_attempt_at_a_cancelled_task_is_another_assignment(harness: Harness, pipe: Pipe) -> None:
    """Cancelling the first attempt does not touch the second."""
    fifo = harness.directory / "fifo"
    os.mkfifo(fifo)
    executor = harness.executor(WAITS, stdout=pipe.writing)
    first, second = map_task(0, str(fifo)), map_task(0, attempt="2-w0-abc123")
    executor.submit([first, second])
    pipe.lines.readline()
    assert executor.cancel(first)
    assert [outcome.assignment for outcome in outcomes(executor, 1)] == [second]


def test_interrupt_and_stop_end_a_wait(harness: Harness) -> None:
    """A thread that waits returns at once, without outcomes."""
    executor = harness.executor(WAITS)
    for call in (executor.interrupt, executor.stop):
        found: list[object] = []
        thread = threading.Thread(target=lambda: found.append(executor.wait(60)))  # noqa: B023 - joined below
        thread.start()
        call()
        thread.join(30)
        assert found == [[]]
    with pytest.raises(RuntimeError, match="was stopped"):
        executor.submit([map_task(0)])


def test_wait_returns_nothing_when_nothing_happens(harness: Harness) -> None:
    """It ends with its time-out."""
    assert harness.executor(WAITS).wait(0.0) == []


def test_an_executor_that_was_started_early_has_its_process_before_the_first_task(harness: Harness) -> None:
    """`start` begins the imports; the first task then uses that very process."""
    executor = harness.executor(WAITS)
    executor.start()
    while not harness.events:
        executor.wait(0.01)
    executor.submit([map_task(0)])
    outcomes(executor, 1)
    assert harness.events == ["child_started"]
