"""The runtime dies: nothing that it started outlives it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.workerharness import Harness, Pipe, wait_for_end

WORKERS = {
    "waiting for a program": """
        class Worker(JobWorker):
            def map(self, input):
                with subprocess.Popen(["sleep", "1000"]) as program:
                    print(os.getpid(), program.pid, flush=True)
        """,
    "holding the interpreter's lock": """
        class Worker(JobWorker):
            def map(self, input):
                program = subprocess.Popen(["sleep", "1000"])
                exponent = 300_000_000
                print(os.getpid(), program.pid, flush=True)
                7 ** exponent
        """,
    "importing": """
        program = subprocess.Popen(["sleep", "1000"])
        print(os.getpid(), program.pid, flush=True)
        threading.Event().wait()
        """,
    "ignoring signals": """
        class Worker(JobWorker):
            def map(self, input):
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                program = subprocess.Popen(["sleep", "1000"])
                print(os.getpid(), program.pid, flush=True)
                threading.Event().wait()
        """,
}


def runtime(harness: Harness, source: str) -> Path:
    """A program that runs one task by an executor and waits for it."""
    path = harness.directory / "runtime.py"
    path.write_text(
        "from kubemr.worker.execution.executor import ProcessExecutor\n"
        "from kubemr.worker.assignment import Assignment, JobInfo\n"
        f"executor = ProcessExecutor(JobInfo('j'), task_timeout=600, command={harness.program(source)!r})\n"
        "executor.submit([Assignment(0, 'map', 0, '1-w0-abc123', 'j/0/map/0/1-w0-abc123/', 4)])\n"
        "executor.wait(600)\n"
    )
    return path


@pytest.mark.parametrize("shell", [True, False], ids=["with a shell", "without a shell"])
@pytest.mark.parametrize("source", WORKERS.values(), ids=WORKERS.keys())
def test_kill_9_of_the_runtime_leaves_no_process(harness: Harness, pipe: Pipe, source: str, shell: bool) -> None:
    """Neither the child, nor what the child started, nor the guardian of their process group."""
    environ = harness.environ()
    if not shell:
        (harness.directory / "bin").mkdir()
        (harness.directory / "bin" / "sleep").symlink_to("/bin/sleep")
        environ["PATH"] = str(harness.directory / "bin")
    with subprocess.Popen([sys.executable, str(runtime(harness, source))], stdout=pipe.writing, env=environ) as process:
        child, program = map(int, pipe.lines.readline().split())
        guardian = _group_of(child)
        process.send_signal(signal.SIGKILL)
    for pid in (child, program, guardian):
        wait_for_end(pid)


def _group_of(pid: int) -> int:
    import os

    return os.getpgid(pid)
