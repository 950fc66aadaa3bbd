"""The log of an attempt holds what was printed in it, however it ends; an attempt that prints nothing has none."""

from __future__ import annotations

import json

import pytest

from kubemr.coordination.attempt_records import AttemptLog
from support.workerharness import Harness, Pipe, map_task, outcomes


def test_an_attempt_that_prints_nothing_has_no_log(harness: Harness) -> None:
    """Nothing is written for it; what the process printed at its start belongs to no attempt."""
    found = harness.run(
        """
        print("imported")
        class Worker(JobWorker):
            def worker_init(self):
                print("initialized")
            def map(self, input):
                return {}
        """,
        *(map_task(number) for number in range(8)),
    )
    assert [outcome.log for outcome in found] == [b""] * 8


def test_both_streams_of_everything_that_runs_in_it_are_there_in_order(harness: Harness) -> None:
    """Of Python, of a program that it starts, binary; between a line that names the attempt and one of its end."""
    (outcome,) = harness.run(
        r"""
        class Worker(JobWorker):
            def map(self, input):
                print("from Python")
                os.system("echo from a shell")
                os.write(1, b"\xff\x00")
                return {}
        """,
        map_task(3),
    )
    first, *_, last = outcome.log.splitlines()
    began, ended = json.loads(first), json.loads(last)
    assert (began["event"], began["task"]) == ("attempt_began", "map/3/1-w0-abc123")
    assert (ended["event"], ended["outcome"]) == ("attempt_ended", "empty")
    log = AttemptLog.decode(outcome.log)
    assert log.printed == b"from Python\nfrom a shell\n\xff\x00\n"
    assert (log.task, log.outcome) == ("map/3/1-w0-abc123", "empty")
    assert log.start <= log.end, log


def test_stderr_is_in_it_too(harness: Harness) -> None:
    """There is one log."""
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                print("out")
                print("err", file=sys.stderr)
                return {}
        """,
        map_task(0),
    )
    assert sorted(AttemptLog.decode(outcome.log).printed.split()) == [b"err", b"out"]


def test_each_attempt_has_its_own(harness: Harness) -> None:
    """All of it, also what was printed last, and nothing of its neighbours'."""
    found = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                if int(input) % 3:
                    print(f"{input} " * 2000)
                return {}
        """,
        *(map_task(number, str(number)) for number in range(12)),
    )
    for number, outcome in enumerate(found):
        printed = AttemptLog.decode(outcome.log).printed.split()
        assert printed == ([str(number).encode()] * 2000 if number % 3 else []), number


def test_what_is_printed_is_still_passed_on(harness: Harness, pipe: Pipe) -> None:
    """A pod's own log has it as before."""
    executor = harness.executor(
        """
        class Worker(JobWorker):
            def map(self, input):
                print("hello")
                return {}
        """,
        stdout=pipe.writing,
    )
    executor.submit([map_task(0)])
    (outcome,) = outcomes(executor, 1)
    assert pipe.lines.readline() == "hello\n"
    assert AttemptLog.decode(outcome.log).printed == b"hello\n"


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("os._exit(3)", "exited with status 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        # What the kernel does when memory runs out.
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ],
)
def test_however_it_fails(harness: Harness, end: str, says: str) -> None:
    """An exception, an exit, a crash, the end of memory."""
    failed, after = harness.run(
        f"""
        class Worker(JobWorker):
            def map(self, input):
                print("about to", input)
                {end}
        """,
        map_task(0, "fail"),
        map_task(1, "fail again"),
    )
    assert failed.kind == after.kind == "failed"
    assert says in failed.message
    assert b"about to fail\n" in AttemptLog.decode(failed.log).printed
    assert AttemptLog.decode(failed.log).outcome == "failed"
    assert b"about to fail again\n" in AttemptLog.decode(after.log).printed
    assert failed.start <= failed.end <= after.end, (failed, after)


def test_out_of_memory(harness: Harness) -> None:
    """Python's own refusal, under a limit."""
    (outcome,) = harness.run(
        """
        import resource
        class Worker(JobWorker):
            def map(self, input):
                print("it grows")
                resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
                return {0: "x" * (1 << 31)}
        """,
        map_task(0),
    )
    assert outcome.message.startswith("MemoryError")
    assert AttemptLog.decode(outcome.log).printed == b"it grows\n"


def test_a_task_that_is_killed_for_its_timeout(harness: Harness) -> None:
    """What it printed before it hung."""
    source = """
        class Worker(JobWorker):
            def map(self, input):
                print("before it hangs")
                threading.Event().wait()
        """
    executor = harness.start_and_wait(harness.executor(source, task_timeout=2.0))
    executor.submit([map_task(0)])
    (outcome,) = outcomes(executor, 1)
    assert outcome.message.startswith("no progress for 2 s")
    assert AttemptLog.decode(outcome.log).printed == b"before it hangs\n"


def test_a_process_that_does_not_start(harness: Harness) -> None:
    """Its first task fails, with what it printed until then."""
    (outcome,) = harness.run("print('loading')\nraise ImportError('no such model')\n", map_task(0))
    assert outcome.kind == "failed"
    printed = AttemptLog.decode(outcome.log).printed
    assert b"loading\n" in printed
    assert b"ImportError: no such model" in printed


def test_it_is_bounded(harness: Harness) -> None:
    """Beginning and end are kept; the line between them counts what is left out, to the byte."""
    source = """
        class Worker(JobWorker):
            def map(self, input):
                for number in range(200_000):
                    print(f"{number:07}")
                return {}
        """
    executor = harness.executor(source, log_bytes=1000)
    executor.submit([map_task(0)])
    (outcome,) = outcomes(executor, 1)
    lines = AttemptLog.decode(outcome.log).printed.splitlines()
    gap = next(position for position, line in enumerate(lines) if line.startswith(b"{"))
    assert lines[:gap] == [b"%07d" % number for number in range(62)]
    assert lines[gap + 1 :] == [b"%07d" % number for number in range(200_000 - 62, 200_000)]
    assert json.loads(lines[gap]) == {"event": "log_shortened", "left_out_bytes": 8 * (200_000 - 124)}


def test_none_is_kept_when_none_is_wanted(harness: Harness) -> None:
    """A bound of 0."""
    executor = harness.executor(
        """
        class Worker(JobWorker):
            def map(self, input):
                print("hello")
                return {}
        """,
        log_bytes=0,
    )
    executor.submit([map_task(0)])
    (outcome,) = outcomes(executor, 1)
    assert (outcome.kind, outcome.log) == ("empty", b"")


def test_the_log_of_a_running_attempt_can_be_read(harness: Harness, pipe: Pipe) -> None:
    """It has no end yet."""
    executor = harness.executor(
        """
        class Worker(JobWorker):
            def map(self, input):
                print("on its way")
                threading.Event().wait()
        """,
        stdout=pipe.writing,
    )
    executor.submit([map_task(5)])
    assert pipe.lines.readline() == "on its way\n"
    running = executor.current_log()
    assert running is not None
    attempt, text = running
    log = AttemptLog.decode(text)
    assert attempt == map_task(5)
    assert (log.printed, log.outcome, log.end) == (b"on its way\n", "", "")
    assert log.start
    executor.cancel(map_task(5))
    assert not executor.wait(0)
