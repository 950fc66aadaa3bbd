"""A worker whose tasks do nothing, or wait for some seconds (jobarg `seconds`); it notes what its patches took.

The loop is the real one.  At its end the process writes a JSON document to the folder `$BENCH_NOTES`:
the seconds of each claim, and CPU and memory of itself and of its child.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import time
from pathlib import Path
from typing import Any, ClassVar

import kubemr
from coordination.sized import choose_size
from kubemr.locks.effects import Answer, Request
from kubemr.locks.http import HttpTransport
from kubemr.tasks import encoding
from kubemr.worker import main
from kubemr.worker.execution.child_main import is_child


class Empty(kubemr.JobWorker):
    """Maps everything to nothing."""

    def worker_init(self) -> None:
        """Read once how long a task takes."""
        self.seconds = float(self.job.jobargs.get("seconds", "0"))

    def map(self, input: str) -> dict[int, str]:
        """Wait as long as the job says."""
        if self.seconds:
            time.sleep(self.seconds)
        return {}

    def reduce(self, inputs: list[str]) -> str:
        """Never called: the job is map only."""
        raise AssertionError(inputs)


class NotingTransport(HttpTransport):
    """The real transport, with a stopwatch for claims."""

    claims: ClassVar[list[float]] = []

    def send(self, request: Request) -> Answer:
        """One exchange."""
        if request.verb != "patch" or request.resource.plural != "mapreducetaskshards":
            return super().send(request)
        began = time.perf_counter()
        answer = super().send(request)
        took = time.perf_counter() - began
        if claims(request.body):
            self.claims.append(took)
        return answer


def claims(patch: list[dict[str, Any]]) -> bool:
    """Whether it makes a task a running one.  A commit only tests that its tasks are, or leaves others so."""
    before: set[tuple[str, int]] = set()
    after: set[tuple[str, int]] = set()
    for operation in patch:
        found = before if operation["op"] == "test" else after
        found.update((operation["path"], number) for number in _running(operation.get("value")))
    return bool(after - before)


def _running(value: Any) -> list[int]:
    """Which tasks, by a map of them; or 0 by the state of a single one."""
    states = encoding.texts(value) if isinstance(value, dict) else {0: str(value)}
    return [number for number, state in states.items() if state.startswith("running/")]


def note() -> None:
    """Write down what was seen."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    notes = {
        "claims": NotingTransport.claims,
        "cpu": own.ru_utime + own.ru_stime,
        "child_cpu": children.ru_utime + children.ru_stime,
        "memory": own.ru_maxrss * 1024,
        "child_memory": children.ru_maxrss * 1024,
    }
    Path(os.environ["BENCH_NOTES"], f"{os.getpid()}.json").write_text(json.dumps(notes))


if __name__ == "__main__":
    choose_size()
    if not is_child():
        vars(main)["HttpTransport"] = NotingTransport
        atexit.register(note)
    kubemr.serve(Empty())
