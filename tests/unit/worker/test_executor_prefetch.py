"""The child gets several quick tasks at a time, and still each has its own outcome, output and time-out."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from kubemr.coordination.attempt_records import AttemptLog
from kubemr.worker.assignment import Assignment
from kubemr.worker.execution.executor import ProcessExecutor
from support.workerharness import Harness, Pipe, map_task, outcomes, running_attempt

MANY = 300
LATE = 200
"""The number of the special task among many."""

NOTES = """
import fcntl, stat, termios

def ahead():
    # The most bytes that wait in a socket of this process: eight for each task with a start permit.
    found = [0]
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.stat(f"/proc/self/fd/{name}").st_mode):
                found.append(int.from_bytes(fcntl.ioctl(int(name), termios.FIONREAD, bytes(4)), sys.byteorder))
        except OSError:
            pass
    return max(found)

def scribble():
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.stat(f"/proc/self/fd/{name}").st_mode):
                os.write(int(name), b"hello, world")
        except OSError:
            pass
    threading.Event().wait()

class Worker(JobWorker):
    def map(self, input):
        with open(os.environ["NOTES"], "a") as notes:
            notes.write(f"{self.task.number}\\n")
        if input:
            with open(os.environ["NOTES"] + "-ahead", "w") as notes:
                notes.write(str(ahead()))
            exec(input)
        return {}
"""


@pytest.fixture
def notes(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file in which tasks record that they have begun; `begun_tasks` reads it."""
    monkeypatch.setenv("NOTES", str(harness.directory / "notes"))


def begun_tasks(harness: Harness) -> list[int]:
    """Return the numbers of the tasks that have begun."""
    return [int(line) for line in (harness.directory / "notes").read_text().split()]


def ahead(harness: Harness) -> int:
    """Return how many bytes of permits waited when the special task began."""
    return int((harness.directory / "notes-ahead").read_text())


def run_until_special(harness: Harness, pipe: Pipe) -> tuple[ProcessExecutor, list[Assignment], Path]:
    """Submit many tasks, and wait until the special one runs, which ends when the fifo is written to."""
    fifo = harness.directory / "fifo"
    os.mkfifo(fifo)
    executor = harness.executor(NOTES, stdout=pipe.writing)
    lasts = f"print('at it', flush=True); open({str(fifo)!r}).read()"
    tasks = [map_task(number, lasts if number == LATE else "") for number in range(MANY)]
    executor.submit(tasks)
    assert pipe.lines.readline() == "at it\n"
    return executor, tasks, fifo


@pytest.mark.usefixtures("notes")
def test_prefetched_tasks_can_be_withdrawn(harness: Harness, pipe: Pipe) -> None:
    """One slow task among quick ones: the child has the next tasks already, but has not begun them."""
    executor, tasks, fifo = run_until_special(harness, pipe)
    assert ahead(harness) > 8
    found = outcomes(executor, LATE)
    assert [outcome.assignment for outcome in found] == tasks[:LATE]
    assert running_attempt(executor) == tasks[LATE]
    assert executor.withdraw() == tasks[LATE + 1 :]
    assert executor.withdraw() == []
    again = [map_task(number, attempt="2-w0-abc123") for number in range(3)]
    executor.submit(again)
    fifo.write_text("")
    assert [outcome.assignment for outcome in outcomes(executor, 4)] == [tasks[LATE], *again]
    assert begun_tasks(harness) == [*range(LATE + 1), 0, 1, 2]
    assert harness.events == ["child_started"]


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("os._exit(3)", "exited with status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("scribble()", "user code wrote to kubemr's own socket"),
    ],
)
def test_only_the_failed_task_has_failed(harness: Harness, does: str, says: str) -> None:
    """The next process runs the tasks behind it, once; those before it have their outcomes."""
    tasks = [map_task(number, does if number == LATE else "") for number in range(MANY)]
    executor = harness.executor(NOTES)
    executor.submit(tasks)
    found = outcomes(executor, MANY)
    assert ahead(harness) > 8
    assert [outcome.assignment for outcome in found] == tasks
    assert [outcome.assignment.number for outcome in found if outcome.kind != "empty"] == [LATE]
    assert says in found[LATE].message
    assert begun_tasks(harness) == list(range(MANY))


def test_a_process_that_ends_between_two_tasks_fails_no_task(harness: Harness) -> None:
    """A finalizer ends it during a garbage collection; prefetched tasks have not begun."""
    source = """
        import gc
        class Last:
            def __init__(self):
                # The collector finds it, and at once, as there is much of it.
                self.itself = [[self] for _ in range(gc.get_threshold()[0])]

            def __del__(self):
                os._exit(9)

        class Worker(JobWorker):
            def map(self, input):
                if input:
                    Last()
                return {}
        """
    ends = (LATE - 100, LATE, LATE + 1)
    tasks = [map_task(number, "ends" if number in ends else "") for number in range(MANY)]
    executor = harness.executor(source)
    executor.submit(tasks)
    found = outcomes(executor, MANY)
    assert [(outcome.assignment, outcome.kind) for outcome in found] == [(task, "empty") for task in tasks]
    assert harness.events == ["child_started", *(["child_ended", "child_started"] * len(ends))]


@pytest.mark.usefixtures("notes")
def test_a_task_without_progress_is_killed(harness: Harness) -> None:
    """Its time-out does not include earlier tasks."""
    tasks = [map_task(number, "threading.Event().wait()" if number == LATE else "") for number in range(MANY)]
    executor = harness.executor(NOTES, task_timeout=4.0)
    executor.submit(tasks)
    found = outcomes(executor, MANY)
    assert [outcome.assignment.number for outcome in found if outcome.kind != "empty"] == [LATE]
    assert found[LATE].message.startswith("no progress for 4 s")
    assert begun_tasks(harness) == list(range(MANY))


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize("which", [LATE, LATE + 1, LATE + 50])
def test_a_cancelled_task_has_no_outcome(harness: Harness, pipe: Pipe, which: int) -> None:
    """If it runs, it is killed; if it is prefetched, it never begins, and no process is killed."""
    executor, tasks, fifo = run_until_special(harness, pipe)
    assert executor.cancel(tasks[which])
    assert not executor.cancel(tasks[which])
    if which != LATE:
        fifo.write_text("")
    left = [task for task in tasks if task != tasks[which]]
    assert [outcome.assignment for outcome in outcomes(executor, MANY - 1)] == left
    begun = [number for number in range(MANY) if number != which or which == LATE]
    assert begun_tasks(harness) == begun
    assert harness.events == ["child_started", *(["child_ended", "child_started"] if which == LATE else [])]


def test_withdrawing_and_cancelling_at_any_moment(harness: Harness) -> None:
    """From another thread: each remaining task has one outcome, and none fails."""
    executor = harness.executor("class Worker(JobWorker):\n    def map(self, input):\n        return {}")
    generator = random.Random(1)
    ended: Counter[int] = Counter()
    cancelled: set[int] = set()
    running: set[int] = set()
    for first in range(0, 20_000, 100):
        running |= set(range(first, first + 100))
        executor.submit([map_task(number) for number in range(first, first + 100)])
        for _ in range(4):
            if generator.random() < 0.5:
                executor.submit(executor.withdraw())
            elif generator.random() < 0.1:
                number = generator.randrange(first, first + 100)
                if executor.cancel(map_task(number)):
                    cancelled.add(number)
        for outcome in executor.wait(0.0):
            assert outcome.kind == "empty", outcome
            ended[outcome.assignment.number] += 1
        running -= {*ended, *cancelled}
    while running:
        for outcome in outcomes(executor, 1):
            assert outcome.kind == "empty", outcome
            ended[outcome.assignment.number] += 1
        running -= set(ended)
    assert cancelled
    assert executor.wait(0.0) == []
    assert set(ended) == set(range(20_000)) - cancelled
    assert set(ended.values()) == {1}


def test_each_task_has_its_own_output(harness: Harness) -> None:
    """By Python, by a program that it started, or none; after and before many tasks that print nothing."""
    source = """
        class Worker(JobWorker):
            def map(self, input):
                if input == "python":
                    print("Python", self.task.number)
                elif input == "program":
                    os.system(f"echo program {self.task.number} >&2")
                elif input == "much":
                    os.write(1, b"x" * 300_000)
                elif input == "crash":
                    print("crash", self.task.number)
                    os._exit(1)
                return {}
        """
    kinds = {LATE: "python", LATE + 1: "program", LATE + 3: "python", LATE + 30: "much", LATE + 60: "crash"}
    tasks = [map_task(number, kinds.get(number, "")) for number in range(MANY)]
    executor = harness.executor(source, stdout=os.open(os.devnull, os.O_WRONLY))
    executor.submit(tasks)
    found = outcomes(executor, MANY)
    printed = {outcome.assignment.number: AttemptLog.decode(outcome.log).printed for outcome in found if outcome.log}
    assert len(printed.pop(LATE + 30)) > 60_000
    assert printed == {
        LATE: b"Python %d\n" % LATE,
        LATE + 1: b"program %d\n" % (LATE + 1),
        LATE + 3: b"Python %d\n" % (LATE + 3),
        LATE + 60: b"crash %d\n" % (LATE + 60),
    }


def test_the_current_log_is_that_of_the_running_task(harness: Harness, pipe: Pipe) -> None:
    """Although the supervisor had not read the outcome of the task before when it began."""
    fifo = harness.directory / "fifo"
    os.mkfifo(fifo)
    source = """
        class Worker(JobWorker):
            def map(self, input):
                if input:
                    print("at it", flush=True)
                    open(input).read()
                return {}
        """
    executor = harness.executor(source, stdout=pipe.writing)
    tasks = [map_task(number, str(fifo) if number == LATE else "") for number in range(MANY)]
    executor.submit(tasks)
    assert pipe.lines.readline() == "at it\n"
    outcomes(executor, LATE)
    found = executor.current_log()
    assert found is not None
    assert found[0] == tasks[LATE]
    assert AttemptLog.decode(found[1]).printed == b"at it\n"
    fifo.write_text("")
    (outcome,) = [each for each in outcomes(executor, MANY - LATE) if each.log]
    assert outcome.assignment == tasks[LATE]
    assert AttemptLog.decode(outcome.log).printed == b"at it\n"
