"""User code that raises."""

from __future__ import annotations

import pytest

from support.workerharness import Harness, map_task

RAISED = {
    "raise ValueError('line 7 is no number')": "ValueError: line 7 is no number",
    "sys.exit(3)": "SystemExit: 3 (user code called sys.exit",
    "raise SystemExit": "SystemExit (user code called sys.exit",
    "raise KeyboardInterrupt": "KeyboardInterrupt (raised inside user code)",
    "raise MemoryError": "MemoryError",
    "self.reduce([])": "NotImplementedError: Worker has no reduce method",
    "(lambda f: f(f))(lambda f: f(f))": "RecursionError: maximum recursion depth exceeded",
    "raise BaseExceptionGroup('two', [ValueError(), KeyboardInterrupt()])": "BaseExceptionGroup: two (2 sub-exc",
    "signal.raise_signal(signal.SIGINT); time.sleep(60)": "KeyboardInterrupt (raised inside user code)",
}


@pytest.mark.parametrize(("statement", "summary"), RAISED.items())
def test_what_user_code_raises_fails_the_attempt_and_not_the_process(
    harness: Harness, statement: str, summary: str
) -> None:
    """SystemExit and KeyboardInterrupt are failures like any other; the same process takes the next task."""
    first, second = harness.run(
        f"""
        class Worker(JobWorker):
            def map(self, input):
                if input == "bad":
                    {statement}
                return {{}}
        """,
        map_task(0, "bad"),
        map_task(1, "good"),
    )
    assert first.kind == "failed"
    assert first.message.startswith(summary)
    assert second.kind == "empty"
    assert harness.events == ["child_started"]


def test_the_traceback_begins_with_user_code(harness: Harness) -> None:
    """Frames of the runtime are no help to the user."""
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                raise ValueError("no")
        """,
        map_task(0),
    )
    lines = outcome.message.splitlines()
    assert lines[0] == "ValueError: no"
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[2].endswith("in map")
    assert 'worker0.py"' in lines[2]


def test_a_message_is_bounded(harness: Harness) -> None:
    """An exception that carries a megabyte does not reach the job's status as one."""
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                raise ValueError("x" * 1_000_000)
        """,
        map_task(0),
    )
    assert len(outcome.message) < 6000
