"""Batches of about a second, no hoarding, and what becomes of a batch when something happens to it."""

from __future__ import annotations

import pytest

from kubemr.locks import Op, Request
from kubemr.locks.threads import Stop, StoppedError
from kubemr.tasks.shard import SHARDS
from kubemr.worker.scheduling.batch import Batch
from kubemr.worker.scheduling.batch_size import BatchSizer
from kubemr.worker.scheduling.identity import ExitReason
from support.bench import LOST_ANSWER, Bench, patches
from support.planned import PlannedTask, worker_of

MANY = [str(number) for number in range(32)]


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


def test_the_size_of_batches() -> None:
    """About a second, at most fourfold from one batch to the next, at most a shard, at least one."""
    sizer = BatchSizer()
    sizes = []
    for tasks, seconds in [(1, 0.01), (4, 0.04), (16, 0.16), (64, 0.64), (128, 32.0), (4, 100.0), (0, 5.0), (1, 0.0)]:
        sizer.observe(tasks, seconds)
        sizes.append(sizer.size)
    assert sizes == [4, 16, 64, 100, 4, 1, 1, 4]


def test_during_a_long_task_the_rest_is_released(bench: Bench) -> None:
    """After two seconds the finished tasks are committed, and other workers can claim those that have not begun."""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    token = worker.identity.token
    executor.seconds = lambda task: 60.0 if task.number == 7 else 0.01
    seen: list[dict[str, int]] = []

    def look() -> None:
        if executor.current is not None and executor.current[0].number == 7:
            names: dict[str, int] = {}
            for state in bench.shard(job).tasks.values():
                names[state.name] = names.get(state.name, 0) + 1
            seen.append(names)

    executor.while_waiting = look
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert seen[0] == {"done": 5, "running": 16, "pending": 11}
    assert seen[4] == {"done": 7, "running": 1, "pending": 24}
    assert [task.attempt for task in executor.begun if task.number == 8] == [f"2-{token}"]
    assert all(len(each) <= 3 for each in seen)


def test_during_a_long_batch_the_rest_is_released(bench: Bench) -> None:
    """Of tasks that last just under two seconds, and come after quick ones."""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 1.9 if task.number >= 21 else 0.01
    running: list[int] = []

    def look() -> None:
        if executor.current is not None and executor.current[0].number >= 21:
            running.append(sum(state.name == "running" for state in bench.shard(job).tasks.values()))

    executor.while_waiting = look
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert running[0] == 11
    assert running.count(11) <= 6  # the test looks every second, and at every outcome
    assert max(running[running.count(11) :]) <= 2


def test_a_reclaimed_task_is_cancelled(bench: Bench) -> None:
    """The worker notices when it releases the rest of the batch."""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 60.0 if task.number == 1 and task.attempt.startswith("1-") else 0.01
    taken: list[bool] = []

    def take() -> None:
        if not taken and executor.current is not None and executor.current[0].number == 1:
            taken.append(True)
            bench.write_tasks(job, {1: "pending/2/0/1/"})

    executor.while_waiting = take
    began = bench.now
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [task.number for task in executor.cancelled] == [1]
    assert bench.now - began < 20
    assert bench.shard(job).tasks[1].epoch == 2


def test_a_task_with_a_loss_runs_alone(bench: Bench) -> None:
    """Last, and one by one."""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=1)
    bench.write_tasks(job, {3: "pending/2/0/1/", 4: "pending/2/0/1/"})
    worker, executor = worker_of(bench, job)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [task.number for task in executor.begun[-2:]] == [3, 4]
    assert executor.batches[-2:] == [1, 1]


def test_lost_claims_are_tried_elsewhere(bench: Bench) -> None:
    """A few times in one shard, then a pause."""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=1)
    worker, _ = worker_of(bench, job)
    rivals = iter(range(3))

    def rival(request: object) -> None:
        number = next(rivals, None)
        if number is not None:
            pending = bench.shard(job).pending
            bench.write_tasks(job, dict.fromkeys(pending[:1], "running/1/0/0/w1-rivals"))
        return None

    bench.hold_lease(job, 0, worker.identity.token)
    bench.before.append(lambda request: rival(request) if patches("mapreducetaskshards")(request) else None)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert next(rivals, None) is None


def test_workers_that_share_a_shard_keep_their_offsets_when_its_one_entry_is_expanded(bench: Bench) -> None:
    """Each claims another task, and all patches but the first fail: at other offsets they would compete again."""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=4)
    worker, executor = worker_of(bench, job, 1)

    def first() -> None:
        bench.write_tasks(job, {0: "running/1/0/0/w0-rivals"})

    bench.hold_lease(job, 0, "w0-rivals")
    bench.meanwhile(patches("mapreducetaskshards"), first)
    bench.meanwhile(lambda request: bool(executor.begun), lambda: bench.write_tasks(job, {0: "empty/1/0/0/w0-rivals"}))
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert executor.begun[0].number == 8


def test_a_deleted_shard_does_not_end_the_worker_while_the_job_exists(bench: Bench) -> None:
    """The worker continues with the other shards, without a busy loop."""
    job = bench.deployed(inputs=[str(number) for number in range(64)], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    gone = bench.shard(job, 0, 0).target
    executor.seconds = lambda task: 5.0 if task.number == 5 else 0.01

    def remove() -> None:
        if executor.current is not None and executor.current[0].number == 5 and bench.get(gone) is not None:
            bench.delete(gone)

    executor.while_waiting = remove
    sleeps = 0

    def count() -> None:
        nonlocal sleeps
        sleeps += 1
        if sleeps > 20:
            bench.set(job.status, "/status/phase", "FAIL")

    bench.on_sleep = count
    before = bench.now
    assert bench.run(worker.run()) is ExitReason.FAIL
    assert bench.shard(job, 0, 1).committed
    assert bench.now - before > 10


def test_a_shard_that_is_missing_from_the_start(bench: Bench) -> None:
    """The same; and when the job is deleted with it, the worker ends."""
    job = bench.deployed(partitions=0, replicas=1)
    worker, _ = worker_of(bench, job)
    bench.delete(bench.shard(job).target)
    bench.on_sleep = lambda: bench.delete(job.target)
    assert bench.run(worker.run()) is ExitReason.GONE


def test_stopped_it_commits_the_finished_tasks_and_releases_the_others(bench: Bench) -> None:
    """Epochs rise, nothing is counted as a failure or a loss."""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    stop = Stop()

    def stop_after_some() -> None:
        if len(executor.begun) == 9:
            stop.set()

    executor.while_waiting = stop_after_some
    with pytest.raises(StoppedError):
        bench.run(worker.run(), stop)
    bench.run(worker.release_all())
    states = [str(state) for state in bench.shard(job).tasks.values()]
    token = worker.identity.token
    done = [f"done/1/0/0/{token}"] * len([state for state in states if state.startswith("done")])
    assert states == [*done, *["pending/2/0/0/"] * (21 - len(done)), *["pending/1/0/0/"] * 11]
    assert len(done) >= 8
    assert worker.batch is None
    bench.run(worker.release_all())  # twice does no harm


@pytest.mark.parametrize("applied", [True, False])
def test_stopped_during_a_commit_no_finished_task_is_lost(bench: Bench, applied: bool) -> None:
    """The patch may or may not have been applied: the worker reads the shard, and commits again what is missing."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, _ = worker_of(bench, job)
    stop = Stop()

    def commits(request: Request) -> bool:
        return "done/" in str(request.body)

    bench.meanwhile(commits, stop.set)
    if applied:
        bench.lose(commits)
    else:
        bench.answer(commits, LOST_ANSWER)
    with pytest.raises(StoppedError):
        bench.run(worker.run(), stop)
    bench.run(worker.release_all())
    assert str(bench.shard(job).tasks[0]) == f"done/1/0/0/{worker.identity.token}"


def unchanged_job() -> Op[None]:
    """Check the job, which is unchanged."""
    yield from ()


def test_stopped_an_outcome_is_not_committed_for_a_later_attempt(bench: Bench) -> None:
    """A late claim of this worker makes it the holder of a new attempt, which it has not run."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    token = worker.identity.token
    before = bench.write_tasks(job, {0: f"running/1/0/0/{token}"})
    batch = Batch(token, before, executor, worker.dependencies.store, 4, unchanged_job)
    batch.changes[0] = lambda state: state.commit(token, empty=False)
    bench.write_tasks(job, {0: f"running/2/0/0/{token}"})
    bench.run(batch.release_all())
    assert str(bench.shard(job).tasks[0]) == "pending/3/0/0/"


def test_stopped_after_the_shard_was_deleted(bench: Bench) -> None:
    """There is nothing to release."""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 60.0
    stop = Stop()
    executor.while_waiting = stop.set
    with pytest.raises(StoppedError):
        bench.run(worker.run(), stop)
    bench.delete(bench.shard(job).target)
    bench.run(worker.release_all())
    assert worker.batch is None


def test_stopped_while_the_shard_is_deleted(bench: Bench) -> None:
    """Between the read and the patch."""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 60.0
    stop = Stop()
    executor.while_waiting = stop.set
    with pytest.raises(StoppedError):
        bench.run(worker.run(), stop)
    target = bench.shard(job).target
    bench.meanwhile(patches("mapreducetaskshards"), lambda: bench.delete(target))
    bench.run(worker.release_all())
    assert bench.objects(SHARDS) == []


def test_the_outcome_of_an_abandoned_batch_is_ignored(bench: Bench) -> None:
    """Task 0 of the map stage and task 0 of the reduce stage have the same number."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 1.0
    executor.kind = lambda task: "failed" if task.stage == "old" else "done"
    executor.submit([PlannedTask("old", 0, "1-w0-aaaaaa", "old/")])
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert bench.shard(job).tasks[0].failures == 0


def test_the_pause_after_lost_claims_doubles_until_a_claim_succeeds(bench: Bench) -> None:
    """A thousand workers at few tasks must not each send five requests a second.  (One claim expands the entry.)"""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=1)
    worker, _ = worker_of(bench, job)
    claims = 0

    def rival(request: Request) -> None:
        nonlocal claims
        if patches("mapreducetaskshards")(request) and "running/" in str(request.body):
            claims += 1
            if claims <= 13 or 14 < claims <= 20:
                shard = bench.shard(job)
                bench.write_tasks(
                    job, {number: f"pending/{shard.tasks[number].epoch + 1}/0/0/" for number in shard.pending}
                )

    bench.before.append(rival)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    pauses = [round(seconds, 3) for seconds in bench.slept]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 0.1]
