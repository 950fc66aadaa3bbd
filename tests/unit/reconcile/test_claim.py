"""PENDING → DEPLOYING: one of several operators acquires the job's lock, and records its stages."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.job_lock import lock_value
from kubemr.controller.reconcile.phases.claim import stages_of
from kubemr.controller.reconcile.reconciler import reconcile
from kubemr.coordination.job_view import JobView
from kubemr.locks import RequestRefusedError
from kubemr.locks.effects import Json
from support.bench import DENIED, INVALID, Bench, patches


def pending(bench: Bench, **spec: Json) -> JobView:
    """Create a job and accept it."""
    bench.submit(**spec)
    bench.step(bench.operator())
    return bench.job()


def test_the_winner_records_stages_and_its_name(bench: Bench, operator: ReconcileContext) -> None:
    """Before anything is created, so that an operator that takes over knows what must exist."""
    pending(bench, inputs=[str(number) for number in range(33)], partitions=5, replicas=3)
    bench.step(operator)
    job = bench.job()
    status = job.document["status"]
    assert (job.phase, job.stage, status["progress"], status["replicas"]) == ("DEPLOYING", "map", "0/38", 3)
    assert [(stage.name, stage.shards, stage.total) for stage in job.stages] == [("map", 2, 33), ("reduce", 1, 5)]
    assert (lock_value(job.document).holder, lock_value(job.document).fence) == ("op-a", 1)
    assert bench.events()[-1] == ("Deploying", "the operator op-a has acquired the job's lock")


def test_of_two_operators_one_wins(bench: Bench, operator: ReconcileContext) -> None:
    """The other leaves it alone, without an error."""
    job = pending(bench)
    other = bench.operator("op-b")
    bench.meanwhile(patches("mapreducejobs"), lambda: bench.step(other))
    assert bench.run(reconcile(job.document, operator)).requeue_after is None
    assert lock_value(bench.job().document).holder == "op-b"
    assert [reason for reason, _ in bench.events()].count("Deploying") == 1


def test_a_lost_answer_is_found_out(bench: Bench, operator: ReconcileContext) -> None:
    """The random heartbeat in the lock's string distinguishes the operator's own patch from every other."""
    pending(bench)
    bench.lose(patches("mapreducejobs"))
    bench.step(operator)
    assert lock_value(bench.job().document).holder == "op-a"
    assert lock_value(bench.job().document).fence == 1


@pytest.mark.parametrize(
    ("inputs", "partitions", "expected"),
    [(0, 3, [("map", 0), ("reduce", 3)]), (5, 0, [("map", 5)]), (64, 1, [("map", 64), ("reduce", 1)])],
)
def test_the_stages_of_a_job(bench: Bench, inputs: int, partitions: int, expected: list[tuple[str, int]]) -> None:
    """Map only where there are no partitions."""
    job = bench.submit(inputs=[str(number) for number in range(inputs)], partitions=partitions)
    assert [(stage["name"], stage["total"]) for stage in stages_of(job)] == expected
    assert all(stage["pending"] == stage["total"] for stage in stages_of(job))


@pytest.mark.parametrize("refusal", [DENIED, INVALID])
def test_a_refused_patch_is_an_error(bench: Bench, operator: ReconcileContext, refusal: object) -> None:
    """It is not taken for a race."""
    pending(bench)
    bench.answer(patches("mapreducejobs"), refusal)  # type: ignore[arg-type]  # an Answer, by parametrize
    with pytest.raises(RequestRefusedError, match="patching mapreducejobs default/words"):
        bench.step(operator)
