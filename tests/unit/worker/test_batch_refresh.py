"""While a task runs, its worker refreshes the shard, and stops attempts that cannot count any more."""

from __future__ import annotations

import pytest

from kubemr.coordination.job_view import JobView
from kubemr.worker.scheduling.identity import ExitReason
from support.bench import LEASE_SECONDS, Bench, asks
from support.planned import PlannedExecutor, worker_of

OTHER = "w1-bbbbbb"
HOUR = 3600.0


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


def when(executor: PlannedExecutor, number: int, seconds: float, state: str, bench: Bench, job: JobView) -> list[float]:
    """Write `state` as the state of task `number` after it has run for `seconds`; return a list that gets the time."""
    began: list[float] = []
    done: list[float] = []

    def act() -> None:
        if executor.current is not None and executor.current[0].number == number and not done:
            began.append(bench.now)
            if bench.now - began[0] >= seconds:
                done.append(bench.now)
                bench.write_tasks(job, {number: state})

    executor.while_waiting = act
    return done


def test_a_task_that_another_holder_has_committed_is_cancelled(bench: Bench) -> None:
    """Within half a Lease's duration; nothing of it is written, and the worker continues."""
    job = bench.deployed(inputs=["a", "b"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    token = worker.identity.token
    bench.write_tasks(job, {0: f"running/1/0/0/{token}+{OTHER}"})
    executor.seconds = lambda task: HOUR if task.number == 0 else 0.01
    done = when(executor, 0, 20.0, f"empty/1/0/0/{OTHER}", bench, job)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [task.number for task in executor.cancelled] == [0]
    assert bench.now - done[0] < LEASE_SECONDS / 2 + 2
    assert str(bench.shard(job).tasks[0]) == f"empty/1/0/0/{OTHER}"


def test_a_reclaimed_task_is_cancelled_also_alone_in_its_batch(bench: Bench) -> None:
    """Its next attempt is another one, and may be this worker's again."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: HOUR if task.attempt.startswith("1-") else 0.01
    when(executor, 0, 5.0, "pending/2/0/1/", bench, job)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [task.attempt[:2] for task in executor.cancelled] == ["1-"]
    assert bench.shard(job).tasks[0].epoch == 2


def test_a_finished_task_that_was_reclaimed_is_not_committed_for_its_next_attempt(bench: Bench) -> None:
    """The same worker holds it again, under another epoch, before it has committed the first attempt."""
    job = bench.deployed(inputs=["a", "b"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    token = worker.identity.token
    bench.write_tasks(job, {0: f"running/1/0/0/{token}", 1: f"running/1/0/0/{token}"})
    executor.seconds = lambda task: 3.0 if task.number == 1 else 0.01
    when(executor, 1, 0.0, f"running/1/0/0/{token}", bench, job)
    bench.meanwhile(
        lambda request: request.verb == "get" and "-0-map-0" in str(request.name) and bool(executor.batches),
        lambda: bench.write_tasks(job, {0: f"running/2/0/1/{token}"}),
    )
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [task.attempt[:2] for task in executor.begun if task.number == 0] == ["1-", "2-"]
    assert str(bench.shard(job).tasks[0]) == f"done/2/0/1/{token}"


def test_tasks_of_a_deleted_shard_do_not_block_the_next_shard(bench: Bench) -> None:
    """It is deleted while a long task runs: the task is stopped, and the tasks of the other shard run."""
    job = bench.deployed(inputs=[str(number) for number in range(40)], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    gone = bench.shard(job, 0, 0).target
    executor.seconds = lambda task: HOUR if task.number == 0 else 0.01

    def remove() -> None:
        if executor.current is not None and executor.current[0].number == 0 and bench.get(gone) is not None:
            bench.delete(gone)

    executor.while_waiting = remove
    bench.on_sleep = lambda: bench.set(job.status, "/status/phase", "FAIL") if bench.now > 1100 else None
    assert bench.run(worker.run()) is ExitReason.FAIL
    assert bench.shard(job, 0, 1).committed
    assert [task.number for task in executor.cancelled] == [0]


def test_a_long_task_costs_few_requests(bench: Bench) -> None:
    """The intervals grow up to about half a Lease's duration, and the job is read half as often as the shard."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 2 * HOUR
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    shards = [request for request in bench.requests if asks("get", "mapreducetaskshards")(request)]
    jobs = [request for request in bench.requests if asks("get", "mapreducejobs")(request)]
    assert 2 * HOUR / (LEASE_SECONDS / 2) <= len(shards) <= 2 * HOUR / (LEASE_SECONDS / 4) + 5
    assert 2 * HOUR / LEASE_SECONDS <= len(jobs) <= len(shards) / 2 + 5
