"""A local process runs a container's command."""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kubemr.local.container_process import TAIL_BYTES, LocalProcess, inherited_environ
from support.workerharness import PATIENCE, wait_for_end


class Watched:
    """A process, the lines that it prints, and its end."""

    def __init__(self, *command: str) -> None:
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.end: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        self.process = LocalProcess(
            command, dict(os.environ), None, self.lines.put, lambda code, tail: self.end.put((code, tail))
        )

    def line(self) -> str:
        return self.lines.get(timeout=PATIENCE)

    def ended(self) -> tuple[int, str]:
        ended = self.end.get(timeout=PATIENCE)
        self.process.join()
        return ended


def test_lines_of_both_streams_and_the_exit_code() -> None:
    """Lines arrive in order, and the last of them with the exit code."""
    watched = Watched("sh", "-c", "echo one; echo two >&2; printf three; exit 7")
    assert watched.ended() == (7, "one\ntwo\nthree")
    assert [watched.line() for _ in range(3)] == ["one", "two", "three"]


def test_only_the_end_of_much_output_is_kept() -> None:
    """As many bytes are kept as Kubernetes keeps for a termination message; bytes that are not text do no harm."""
    watched = Watched(sys.executable, "-c", "import os; os.write(1, b'\\xff\\n' + b'x' * 9999 + b'\\nlast\\n')")
    code, tail = watched.ended()
    assert code == 0
    assert tail.endswith("x\nlast")
    assert len(tail) < TAIL_BYTES


@pytest.mark.parametrize(
    ("script", "end", "code"),
    [
        ("echo ready; exec sleep 1000", lambda process: process.terminate(PATIENCE), 143),
        ("trap '' TERM; echo ready; while :; do sleep 1000; done", lambda process: process.terminate(0.05), 137),
        ("echo ready; kill -STOP $$; exec sleep 1000", lambda process: process.terminate(0.05), 143),
        ("echo ready; exec sleep 1000", lambda process: process.kill(), 137),
    ],
    ids=["obeys", "ignores", "is stopped", "is killed"],
)
def test_ending_it(script: str, end: Callable[[LocalProcess], None], code: int) -> None:
    """SIGTERM comes first, SIGKILL after the grace period; the exit code shows which of them ended the process."""
    watched = Watched("sh", "-c", script)
    watched.line()
    end(watched.process)
    assert watched.ended()[0] == code
    watched.process.kill()
    watched.process.terminate(0.0)


def test_what_it_started_goes_with_it() -> None:
    """Its children are killed, also if they outlive it."""
    watched = Watched("sh", "-c", "sleep 1000 & echo $!")
    pid = int(watched.line())
    assert watched.ended()[0] == 0
    wait_for_end(pid)


def test_a_command_that_is_not_there() -> None:
    """It raises OSError and leaves no process."""
    with pytest.raises(FileNotFoundError):
        Watched("/nonexistent")


def test_the_environment_of_others_has_no_variables_of_kubemr() -> None:
    """A setting for one process must not reach another by chance."""
    environ: dict[str, Any] = {"KUBEMR_RUN": "1", "PATH": "/bin"}
    assert inherited_environ(environ) == {"PATH": "/bin"}
