"""User code that ends its process."""

from __future__ import annotations

import os

import pytest

from support.workerharness import Harness, map_task, outcomes

CRASHES = {
    "os._exit(3)": "exited with status 3",
    "os._exit(0)": "exited with status 0",
    "os.kill(os.getpid(), signal.SIGSEGV)": "was killed by SIGSEGV",
    "os.kill(os.getpid(), signal.SIGKILL)": "was killed by SIGKILL (out of memory?)",
    "os.abort()": "was killed by SIGABRT",
    "os.kill(os.getpid(), signal.SIGTERM)": "was killed by SIGTERM",
}


@pytest.mark.parametrize(("crash", "said"), CRASHES.items())
def test_a_crash_is_a_failed_attempt_with_its_status_and_the_end_of_stderr(
    harness: Harness, crash: str, said: str
) -> None:
    """The message holds how the process ended and what it last wrote to stderr; the next task has a new process."""
    first, second = harness.run(
        f"""
        class Worker(JobWorker):
            def map(self, input):
                if input == "bad":
                    print("about to die", file=sys.stderr, flush=True)
                    {crash}
                return {{}}
        """,
        map_task(0, "bad"),
        map_task(1, "good"),
    )
    assert first.kind == "failed"
    assert first.message.splitlines()[0] == (
        f"the worker process {said} while it ran map/0/1-w0-abc123; the end of its stderr:"
    )
    assert "about to die" in first.message
    assert second.kind == "empty"
    assert harness.events == ["child_started", "child_ended", "child_started"]


def test_a_crash_in_native_code_leaves_a_python_traceback(harness: Harness) -> None:
    """faulthandler is on: the message names the line of user code that crashed."""
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                import ctypes
                ctypes.string_at(0)
        """,
        map_task(0),
    )
    assert "was killed by SIGSEGV" in outcome.message
    assert "Fatal Python error: Segmentation fault" in outcome.message
    assert "in map" in outcome.message


def test_only_the_end_of_stderr_is_kept(harness: Harness) -> None:
    """The last 4 KiB, and nothing that an earlier task wrote."""
    source = """
        class Worker(JobWorker):
            def map(self, input):
                if input == "first":
                    print("from the first task", file=sys.stderr, flush=True)
                    return {}
                sys.stderr.write("x" * 100_000 + "the end")
                sys.stderr.flush()
                os._exit(1)
        """
    executor = harness.executor(source)
    executor.submit([map_task(0, "first")])
    outcomes(executor, 1)
    executor.submit([map_task(1)])
    (outcome,) = outcomes(executor, 1)
    _, _, tail = outcome.message.partition("\n")
    assert tail.endswith("the end")
    assert len(tail) == 4096
    assert "from the first task" not in tail


def test_a_process_that_dies_between_tasks_costs_no_attempt(harness: Harness) -> None:
    """If a thread of user code crashes later, no attempt fails: the next task has a new process."""
    fifo = harness.directory / "fifo"
    os.mkfifo(fifo)
    source = """
        class Worker(JobWorker):
            def map(self, input):
                if input:
                    threading.Thread(target=lambda: (open(input).read(), os._exit(5))).start()
                return {}
        """
    executor = harness.executor(source)
    executor.submit([map_task(0, str(fifo))])
    assert [outcome.kind for outcome in outcomes(executor, 1)] == ["empty"]
    fifo.write_text("")
    while harness.events != ["child_started", "child_ended"]:
        executor.wait(0.01)
    executor.submit([map_task(1)])
    assert [outcome.kind for outcome in outcomes(executor, 1)] == ["empty"]
