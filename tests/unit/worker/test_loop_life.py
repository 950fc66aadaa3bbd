"""A worker's whole life: it takes a job from its first task to its end, alone if it must."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kubemr.coordination.job_view import JobView
from kubemr.locks import RequestRefusedError
from kubemr.locks.effects import Json
from kubemr.worker.scheduling.identity import ExitReason
from support.bench import DENIED, Bench, asks, patches
from support.planned import PlannedTask, worker_of


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


def status(bench: Bench) -> Json:
    """The job's status."""
    return bench.job().document["status"]


def test_one_worker_alone(bench: Bench) -> None:
    """It maps, seals, reduces and records the results, without the operator."""
    job = bench.deployed(inputs=[str(number) for number in range(70)], partitions=3, replicas=1)
    worker, executor = worker_of(bench, job)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert status(bench)["results"] == [f"out-1-{worker.identity.token}"] * 3
    assert len(executor.begun) == 73
    assert executor.batches[:4] == [1, 4, 16, 11]  # the first claim is one task; a batch lies in one shard


def test_a_job_that_is_still_being_deployed_is_waited_for(bench: Bench) -> None:
    """The pods may be quicker than the operator's last patch."""
    job = bench.deployed()
    bench.set(job.status, "/status/phase", "DEPLOYING")
    worker, _ = worker_of(bench, job)
    bench.on_sleep = lambda: bench.set(job.status, "/status/phase", "DEPLOYED") and None
    assert bench.run(worker.run()) is ExitReason.COMPLETE


@pytest.mark.parametrize("phase", ["COMPLETE", "FAIL"])
def test_a_job_that_is_over(bench: Bench, phase: str) -> None:
    """Nothing is claimed any more."""
    job = bench.deployed()
    bench.set(job.status, "/status/phase", phase)
    worker, executor = worker_of(bench, job)
    assert bench.run(worker.run()).value == phase
    assert executor.begun == []


def test_a_job_that_was_deleted_or_replaced(bench: Bench) -> None:
    """404, and another job of the same name."""
    job = bench.deployed()
    worker, _ = worker_of(bench, job)
    bench.patch(job.target, {"op": "remove", "path": "/metadata/finalizers"})
    bench.delete(job.target)
    assert bench.run(worker.run()) is ExitReason.GONE
    bench.submit()
    assert bench.run(worker.run()) is ExitReason.GONE


def test_another_run_has_begun(bench: Bench) -> None:
    """Its tasks are not this worker's."""
    job = bench.deployed()
    bench.set(job.status, "/status/run", 2)
    worker, _ = worker_of(bench, job)
    assert bench.run(worker.run()) is ExitReason.SUPERSEDED


@pytest.mark.parametrize("what", ["deleted", "superseded", "failed"])
def test_what_happens_to_the_job_stops_a_running_task(bench: Bench, what: str) -> None:
    """It is noticed within about a second, in the middle of a task of ten minutes."""
    job = bench.deployed()
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 600.0
    happenings: dict[str, Callable[[], object]] = {
        "deleted": lambda: bench.delete(job.target),
        "superseded": lambda: bench.set(job.status, "/status/run", 2),
        "failed": lambda: bench.set(job.status, "/status/phase", "FAIL"),
    }
    began = bench.now

    def happen() -> None:
        if bench.now - began > 5 and happenings:
            happenings.pop(what)()
            happenings.clear()

    executor.while_waiting = happen
    endings = {"deleted": ExitReason.GONE, "superseded": ExitReason.SUPERSEDED, "failed": ExitReason.FAIL}
    assert bench.run(worker.run()) is endings[what]
    assert bench.now - began < 10


def test_rights_that_are_taken_away_later(bench: Bench) -> None:
    """The process must end, and Kubernetes starts it again."""
    job = bench.deployed()
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 30.0
    executor.while_waiting = lambda: bench.answer(asks("get", "mapreducejobs"), DENIED)
    with pytest.raises(RequestRefusedError):
        bench.run(worker.run())


def test_a_failing_task_fails_the_job_with_the_first_cause(bench: Bench) -> None:
    """After `maxAttempts`, and with a pause that grows between them; the message is the first attempt's."""
    job = bench.deployed(maxAttempts=3, inputs=["a"])
    worker, executor = worker_of(bench, job)
    executor.kind = lambda task: "failed"
    assert bench.run(worker.run()) is ExitReason.FAIL
    assert status(bench)["error"] == "map/0 failed 3 times: ValueError: no"
    assert [task.attempt.partition("-")[0] for task in executor.begun] == ["1", "2", "3"]
    assert len(bench.slept) >= 2


def test_a_task_that_fails_once_is_done_again(bench: Bench) -> None:
    """The job completes with all results."""
    job = bench.deployed(inputs=list("abc"))
    worker, executor = worker_of(bench, job)
    executor.kind = lambda task: "failed" if task.attempt.startswith("1-") and task.number == 1 else "done"
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert status(bench)["resultCount"] == 2


def test_tasks_without_an_output(bench: Bench) -> None:
    """Success without a result."""
    job = bench.deployed()
    worker, executor = worker_of(bench, job)
    executor.kind = lambda task: "empty"
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert (status(bench)["results"], status(bench)["resultCount"]) == ([], 0)


def test_two_workers_share_a_stage(bench: Bench) -> None:
    """Each begins with its own part of the shards, so that they do not compete."""
    job = bench.deployed(inputs=[str(number) for number in range(64)], partitions=0)
    one, first = worker_of(bench, job, 0)
    two, second = worker_of(bench, job, 1)
    other = two.run()
    stepped: list[bool] = []

    def let_the_other_begin() -> None:
        if not stepped:
            stepped.append(True)
            assert bench.run(other) is ExitReason.COMPLETE

    first.while_waiting = let_the_other_begin
    first.seconds = lambda task: 0.5
    # The other worker runs its own shard, then what this worker has not claimed.
    # It waits for the rest until this worker's Lease has expired, and reclaims the task.
    assert bench.run(one.run()) is ExitReason.COMPLETE
    assert {task.number for task in second.begun[:32]} == set(range(32, 64))
    assert len({task.number for task in first.begun + second.begun}) == 64


def of_stage(pieces: list[PlannedTask], stage: str) -> list[int]:
    """The numbers of a stage's attempts."""
    return [task.number for task in pieces if task.stage == stage]


def test_a_stage_whose_sealer_died_is_opened(bench: Bench) -> None:
    """The job's status was changed, the labels were not: the next stage's shards are still labelled `waiting`."""
    job = bench.deployed(partitions=40)
    view: JobView = bench.job()
    bench.write_tasks(view, {0: "empty/1/0/0/w9-zzzzzz", 1: "empty/1/0/0/w9-zzzzzz"})
    bench.answer(lambda request: patches("mapreducetaskshards")(request) and "waiting" in str(request.body), DENIED)
    worker, executor = worker_of(bench, job)
    executor.kind = lambda task: "empty"
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert sorted(of_stage(executor.begun, "reduce")) == list(range(40))
