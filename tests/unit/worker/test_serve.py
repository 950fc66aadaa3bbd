"""The child is the user's own program, executed again; and what importing the runtime costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.workerharness import HEAD, Harness

PROGRAM = (
    HEAD
    + """
from kubemr.worker.assignment import Assignment, JobInfo
from kubemr.worker.execution.child_main import is_child
from kubemr.worker.execution.executor import ProcessExecutor

class Worker(JobWorker):
    def map(self, input):
        print("in child", *sys.argv[1:], flush=True)
        return {}

def main():
    if is_child():
        run_child(Worker())
    with ProcessExecutor(JobInfo("j"), task_timeout=60) as executor:
        executor.submit([Assignment(0, "map", 0, "1-w0-abc123", "j/0/map/0/1-w0-abc123/", 4)])
        for outcome in executor.wait(60):
            print(outcome.kind, outcome.message, flush=True)

if __name__ == "__main__":
    main()
"""
)


def run(harness: Harness, command: list[str]) -> str:
    """What a program prints."""
    return subprocess.run(
        command, env=harness.environ(), cwd=harness.directory, check=True, capture_output=True, text=True, timeout=60
    ).stdout


@pytest.fixture
def package(harness: Harness) -> Path:
    """A program that is a package."""
    folder = harness.directory / "words"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "__main__.py").write_text("from words import helper\n" + PROGRAM)
    (folder / "helper.py").write_text("")
    return folder


def test_a_file_is_executed_again_with_its_arguments(harness: Harness) -> None:
    """`python file.py arguments`, interpreter options included."""
    (harness.directory / "words.py").write_text(PROGRAM)
    printed = run(harness, [sys.executable, "-X", "dev", "words.py", "--min=3", "a b"])
    assert sorted(printed.splitlines()) == ["empty ", "in child --min=3 a b"]


def test_a_module_is_executed_again(harness: Harness, package: Path) -> None:
    """`python -m package`, which finds its own modules."""
    assert sorted(run(harness, [sys.executable, "-m", "words", "x"]).splitlines()) == ["empty ", "in child x"]


@pytest.mark.parametrize("command", [["-"], [], ["-X", "dev", "-"]], ids=["dash", "nothing", "options"])
def test_a_program_from_stdin_cannot_be_executed_again(harness: Harness, command: list[str]) -> None:
    """The error has the remedy."""
    result = subprocess.run(
        [sys.executable, *command], input=PROGRAM, env=harness.environ(), capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    assert "save it to a file and run `python that_file.py`" in result.stderr


@pytest.mark.parametrize("value", ["", "x", "99", "0"])
def test_a_variable_that_was_left_over_is_named(harness: Harness, value: str) -> None:
    """A descriptor that is not a socket of kubemr is rejected."""
    result = subprocess.run(
        harness.program("class Worker(JobWorker): pass"),
        env={**harness.environ(), "KUBEMR_CHILD_FD": value},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert f"KUBEMR_CHILD_FD={value!r}" in result.stderr
    assert "unset it" in result.stderr


def test_an_idle_child_ends_in_an_orderly_way(harness: Harness) -> None:
    """`stop` lets `atexit` run; the process and its group have ended when it returns."""
    path = harness.directory / "atexit"
    executor = harness.executor(
        f"""
        import atexit
        atexit.register(lambda: open({str(path)!r}, "w").close())
        class Worker(JobWorker):
            def map(self, input):
                return {{}}
        """
    )
    from support.workerharness import map_task, outcomes

    executor.submit([map_task(0)])
    outcomes(executor, 1)
    executor.stop(grace=30)
    assert path.exists()


def test_the_runtime_imports_nothing_heavy(harness: Harness) -> None:
    """Neither the executor nor, before it runs, the child's side."""
    code = (
        "import sys, kubemr.worker.execution.executor, kubemr.worker.execution.child_main, kubemr.worker.job_worker\n"
        "heavy = {'asyncio', 'minio', 'kubernetes', 'structlog', 'urllib3', 'concurrent.futures', 'ctypes'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert run(harness, [sys.executable, "-c", code]) == "[]\n"
