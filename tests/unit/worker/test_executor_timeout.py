"""User code that hangs."""

from __future__ import annotations

from support.workerharness import Harness, Pipe, map_task, outcomes, wait_for_end


def test_a_task_without_progress_is_ended(harness: Harness) -> None:
    """After the time-out the process is killed and the attempt fails; a new process runs the other tasks."""
    source = """
        class Worker(JobWorker):
            def map(self, input):
                if input == "hang":
                    print("stuck here", file=sys.stderr, flush=True)
                    threading.Event().wait()
                return {}
        """
    executor = harness.start_and_wait(harness.executor(source, task_timeout=4.0))
    executor.submit([map_task(0, "hang"), map_task(1)])
    first, second = outcomes(executor, 2)
    assert first.kind == "failed"
    assert first.message.startswith("no progress for 4 s (taskTimeoutSeconds), so the process was ended; call self.pr")
    assert "stuck here" in first.message
    assert 4.0 <= first.seconds < 30
    assert second.kind == "empty"


def test_the_whole_process_group_is_ended(harness: Harness, pipe: Pipe) -> None:
    """A program that the task was waiting for ends, too."""
    source = """
        class Worker(JobWorker):
            def map(self, input):
                with subprocess.Popen(["sleep", "1000"]) as program:
                    print(program.pid, flush=True)
        """
    executor = harness.start_and_wait(harness.executor(source, task_timeout=3.0, stdout=pipe.writing))
    executor.submit([map_task(0)])
    pid = int(pipe.lines.readline())
    (outcome,) = outcomes(executor, 1)
    assert outcome.message.startswith("no progress")
    wait_for_end(pid)


def test_progress_restarts_the_time_out(harness: Harness) -> None:
    """A task may take several times the time-out as long as it reports progress."""
    source = """
        class Worker(JobWorker):
            def map(self, input):
                for _ in range(8):
                    time.sleep(0.5)
                    self.progress()
                return {}
        """
    executor = harness.start_and_wait(harness.executor(source, task_timeout=3.0))
    executor.submit([map_task(0)])
    (outcome,) = outcomes(executor, 1)
    assert outcome.kind == "empty", outcome.message
    assert outcome.seconds > 4.0


def test_imports_that_hang_are_ended(harness: Harness) -> None:
    """The start of the process has the same time-out, with another message."""
    executor = harness.executor("threading.Event().wait()", task_timeout=3.0)
    executor.submit([map_task(0)])
    (outcome,) = outcomes(executor, 1)
    assert outcome.message.startswith("the worker process was not ready after 3 s (taskTimeoutSeconds)")


def test_the_time_during_which_the_runtime_was_stopped_does_not_count(harness: Harness, pipe: Pipe) -> None:
    """SIGSTOP of the runtime and its child for longer than the time-out, then SIGCONT: the task continues."""
    import os
    import signal
    import subprocess
    import sys
    import time

    worker = harness.program(
        """
        class Worker(JobWorker):
            def map(self, input):
                print(os.getpid(), flush=True)
                time.sleep(1)
                return {}
        """
    )
    runtime = harness.directory / "runtime.py"
    runtime.write_text(
        "from kubemr.worker.execution.executor import ProcessExecutor\n"
        "from kubemr.worker.assignment import Assignment, JobInfo\n"
        f"with ProcessExecutor(JobInfo('j'), task_timeout=2.0, command={worker!r}) as executor:\n"
        "    executor.start()\n"
        "    while not executor._supervisor._ready:\n"
        "        executor.wait(0.01)\n"
        "    executor.submit([Assignment(0, 'map', 0, '1-w0-abc123', 'j/0/map/0/1-w0-abc123/', 4)])\n"
        "    outcomes = []\n"
        "    while not outcomes:\n"
        "        outcomes = executor.wait(60)\n"
        "    print(outcomes[0].kind, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, str(runtime)], stdout=pipe.writing, env=harness.environ()) as process:
        child = int(pipe.lines.readline())
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(child, signal.SIGSTOP)
        time.sleep(3.5)  # the passing of real time is what this is about
        os.kill(child, signal.SIGCONT)
        os.kill(process.pid, signal.SIGCONT)
        assert pipe.lines.readline() == "empty\n"
