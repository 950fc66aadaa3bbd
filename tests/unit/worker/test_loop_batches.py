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


def test_the_pace() -> None:
    """About a second, at most fourfold from one batch to the next, at most a shard, at least one."""
    pace = BatchSizer()
    sizes = []
    for tasks, seconds in [(1, 0.01), (4, 0.04), (16, 0.16), (64, 0.64), (128, 32.0), (4, 100.0), (0, 5.0), (1, 0.0)]:
        pace.observe(tasks, seconds)
        sizes.append(pace.size)
    assert sizes == [4, 16, 64, 100, 4, 1, 1, 4]


def test_a_long_task_gives_the_rest_back(bench: Bench) -> None:
    """Over two seconds: what is finished is committed, what has not begun can be taken by others."""
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


def test_a_batch_that_takes_longer_than_it_was_to_take_gives_the_rest_back(bench: Bench) -> None:
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
    assert running.count(11) <= 6  # looked at every second, and at every outcome
    assert max(running[running.count(11) :]) <= 2


def test_a_task_that_was_taken_away_is_cancelled(bench: Bench) -> None:
    """Seen when the rest of the batch is given back: nobody waits for what does not count."""
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


def test_a_suspect_is_run_alone(bench: Bench) -> None:
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


def test_who_shares_a_shard_keeps_to_its_own_place_when_another_ends_its_one_entry(bench: Bench) -> None:
    """Each wants another task of it, and all patches but the first fail: anywhere else they would meet again."""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=4)
    worker, executor = worker_of(bench, job, 1)

    def first() -> None:
        bench.write_tasks(job, {0: "running/1/0/0/w0-rivals"})

    bench.hold_lease(job, 0, "w0-rivals")
    bench.meanwhile(patches("mapreducetaskshards"), first)
    bench.meanwhile(lambda request: bool(executor.begun), lambda: bench.write_tasks(job, {0: "empty/1/0/0/w0-rivals"}))
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert executor.begun[0].number == 8


def test_a_shard_that_is_gone_is_no_end_as_long_as_the_job_is_there(bench: Bench) -> None:
    """Somebody deleted it: the worker goes on with the others, without spinning."""
    job = bench.deployed(inputs=[str(number) for number in range(64)], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    gone = bench.shard(job, 0, 0).target
    executor.seconds = lambda task: 5.0 if task.number == 5 else 0.01

    def remove() -> None:
        if executor.current is not None and executor.current[0].number == 5 and bench.get(gone) is not None:
            bench.delete(gone)

    executor.while_waiting = remove
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1
        if turns > 20:
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


def test_told_to_go_it_commits_what_is_finished_and_gives_back_the_rest(bench: Bench) -> None:
    """Epochs rise, nothing is counted as a failure or a loss."""
    job = bench.deployed(inputs=MANY, partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    stop = Stop()

    def tell() -> None:
        if len(executor.begun) == 9:
            stop.set()

    executor.while_waiting = tell
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


@pytest.mark.parametrize("landed", [True, False])
def test_told_to_go_in_the_middle_of_a_commit_nothing_finished_is_thrown_away(bench: Bench, landed: bool) -> None:
    """The patch may or may not have landed: a fresh look tells, and what did not is sent again."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, _ = worker_of(bench, job)
    stop = Stop()

    def commits(request: Request) -> bool:
        return "done/" in str(request.body)

    bench.meanwhile(commits, stop.set)
    if landed:
        bench.lose(commits)
    else:
        bench.answer(commits, LOST_ANSWER)
    with pytest.raises(StoppedError):
        bench.run(worker.run(), stop)
    bench.run(worker.release_all())
    assert str(bench.shard(job).tasks[0]) == f"done/1/0/0/{worker.identity.token}"


def nothing() -> Op[None]:
    """A check that finds all well."""
    yield from ()


def test_told_to_go_an_outcome_is_not_committed_for_a_later_attempt(bench: Bench) -> None:
    """A claim of its own that landed late makes it the holder of a new attempt, which nobody has run."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    token = worker.identity.token
    before = bench.write_tasks(job, {0: f"running/1/0/0/{token}"})
    batch = Batch(token, before, executor, worker.dependencies.store, 4, nothing)
    batch.changes[0] = lambda state: state.commit(token, empty=False)
    bench.write_tasks(job, {0: f"running/2/0/0/{token}"})
    bench.run(batch.release_all())
    assert str(bench.shard(job).tasks[0]) == "pending/3/0/0/"


def test_told_to_go_when_the_shard_is_gone(bench: Bench) -> None:
    """There is nothing to give back."""
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


def test_told_to_go_the_shard_goes_in_between(bench: Bench) -> None:
    """Between the look and the patch."""
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


def test_the_outcome_of_a_batch_that_was_given_up_is_not_taken_for_another(bench: Bench) -> None:
    """Task 0 of the map stage and task 0 of the reduce stage have the same number."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 1.0
    executor.kind = lambda task: "failed" if task.stage == "old" else "done"
    executor.submit([PlannedTask("old", 0, "1-w0-aaaaaa", "old/")])
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert bench.shard(job).tasks[0].failures == 0


def test_the_pause_of_a_crowded_worker_doubles_until_a_claim_succeeds(bench: Bench) -> None:
    """A thousand workers at few tasks do not ask five times a second each.  (The first loss ends one entry.)"""
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
