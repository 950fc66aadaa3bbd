"""A retried job calls user code only for what was not committed: counted over both runs, with real workers."""

from __future__ import annotations

from collections import Counter

import pytest

from kubemr.worker.scheduling.identity import ExitReason
from support.bench import Bench
from support.planned import worker_of


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


@pytest.mark.parametrize("stage", ["map", "reduce"])
def test_only_the_rest_runs_again(bench: Bench, stage: str) -> None:
    """Five map tasks, two reduce tasks, one of which fails the first run: in all eight calls."""
    operator = bench.operator()
    job = bench.deployed(operator, inputs=list("abcde"), partitions=2, replicas=1, maxAttempts=1)
    worker, first = worker_of(bench, job)
    first.kind = lambda task: "failed" if (task.stage, task.number) == (stage, 1) else "done"
    assert bench.run(worker.run()) is ExitReason.FAIL
    bench.step(operator)
    bench.set(job.target, "/spec/restarts", 1)
    for _ in range(4):
        bench.step(operator)
    again = bench.job()
    assert (again.phase, again.run) == ("DEPLOYED", 2)
    worker, second = worker_of(bench, again, entropy=1)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    calls = Counter((task.stage, task.number) for task in [*first.begun, *second.begun])
    expected = {**{("map", number): 1 for number in range(5)}, **{("reduce", number): 1 for number in range(2)}}
    assert calls == {**expected, (stage, 1): 2}
    assert len(bench.job().document["status"]["results"]) == 2
