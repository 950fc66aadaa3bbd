"""Idle workers leave in the tail of a job; enough of them stay, and those of the lowest indexes always."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attr import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from kubemr.coordination.job_view import JobView
from kubemr.worker.scheduling import loop
from kubemr.worker.scheduling.identity import ExitReason
from kubemr.worker.scheduling.scale_down import workers_needed
from support.bench import Bench
from support.planned import worker_of

B = "w1-bbbbbb"


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


def tail(bench: Bench, running: int, **spec: object) -> JobView:
    """A job of ten tasks, some of which a live worker is at; the others are done."""
    job = bench.deployed(inputs=list("abcdefghij"), replicas=100, **spec)  # type: ignore[arg-type]  # fields of a spec
    states = {number: f"{'running' if number < running else 'empty'}/1/0/0/{B}" for number in range(10)}
    bench.write_tasks(job, states)
    lease = bench.hold_lease(job, 1, B)
    bench.on_sleep = lambda: bench.set(lease, "/spec/renewTime", bench.micro_timestamp())
    return job


def at_once(bench: Bench, job: JobView, index: int) -> ExitReason | None:
    """How the worker with this index ends, if it does without waiting."""
    worker, executor = worker_of(bench, job, index)
    began = bench.now

    def waits() -> None:
        bench.set(job.status, "/status/phase", "FAIL")

    bench.on_sleep = waits
    ending = bench.run(worker.run())
    assert executor.begun == []
    return None if bench.now - began > 0.5 else ending


@pytest.mark.parametrize(("running", "last"), [(1, 3), (3, 7), (10, 21)])
def test_twice_as_many_as_tasks_are_left_stay_and_two_more(bench: Bench, running: int, last: int) -> None:
    """One for each task, one as a backup or in place of who dies; all others leave at once."""
    job = tail(bench, running, partitions=0)
    assert at_once(bench, job, last + 1) is ExitReason.SCALED_DOWN
    assert at_once(bench, job, last) is None


@pytest.mark.parametrize(("partitions", "last"), [(1, 3), (20, 41)])
def test_workers_are_needed_again_for_the_next_stage(bench: Bench, partitions: int, last: int) -> None:
    """In the tail of the map stage those stay that reduce has tasks for."""
    job = tail(bench, 1, partitions=partitions)
    assert at_once(bench, job, last + 1) is ExitReason.SCALED_DOWN
    assert at_once(bench, job, last) is None


def test_nobody_leaves_while_something_is_pending(bench: Bench) -> None:
    """There is work."""
    job = tail(bench, 1, partitions=0)
    bench.write_tasks(job, {0: "pending/2/0/0/"})
    worker, executor = worker_of(bench, job, 50)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [task.number for task in executor.begun] == [0]


def test_nobody_leaves_with_a_task_of_its_own(bench: Bench) -> None:
    """One that it did not know of is run first."""
    job = tail(bench, 1, partitions=0)
    worker, executor = worker_of(bench, job, 50)
    bench.write_tasks(job, {0: f"running/1/0/0/{worker.identity.token}", 1: f"running/1/0/0/{B}"})
    bench.on_sleep = lambda: pytest.fail("it waits")
    assert bench.run(worker.run()) is ExitReason.SCALED_DOWN
    assert [task.number for task in executor.begun] == [0]


def test_a_complete_stage_is_sealed_by_whoever_sees_it(bench: Bench) -> None:
    """Before anybody leaves: those who stay might be dead."""
    job = tail(bench, 0, partitions=0)
    worker, _ = worker_of(bench, job, 99)
    assert bench.run(worker.run()) is ExitReason.COMPLETE


def test_a_task_that_failed_for_good_fails_the_job_before_anybody_leaves(bench: Bench) -> None:
    """The same."""
    job = tail(bench, 1, partitions=0)
    bench.write_tasks(job, {0: "failed/1/4/0/"})
    worker, _ = worker_of(bench, job, 99)
    assert bench.run(worker.run()) is ExitReason.FAIL


def test_who_stays_looks_after_the_holders_as_if_the_others_had_never_been(bench: Bench) -> None:
    """Of a thousand workers four are left: each has to watch the last holder, and none waits for a minute."""
    job = bench.deployed(inputs=list("abcdefghij"), replicas=1000, partitions=0, maxAttempts=1)
    bench.write_tasks(job, {0: f"running/1/0/0/{B}"})
    lease = bench.get(bench.hold_lease(job, 1, B))
    worker, executor = worker_of(bench, job, 2)
    began = bench.now
    bench.on_sleep = lambda: bench.set(job.status, "/status/phase", "FAIL") if bench.now > began + 100 else None
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert {task.number for task in executor.begun} == set(range(10))
    assert bench.now - began < 1.5 * lease["spec"]["leaseDurationSeconds"]


def test_a_glance_that_shows_a_part_is_no_tail(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody leaves, and nothing is backed up, as long as more may be left than was seen."""
    monkeypatch.setattr(loop, "UNFINISHED_SAMPLE", 1)
    monkeypatch.setattr(loop, "FULL_LIST_EVERY", 1e9)
    job = tail(bench, 1, partitions=0)
    assert at_once(bench, job, 99) is None
    job = bench.deployed(name="more", inputs=list("abcd"), replicas=2, partitions=0)
    bench.write_tasks(job, {3: f"running/1/0/0/{B}"})
    lease = bench.hold_lease(job, 1, B)
    began = bench.now

    def live() -> None:
        bench.set(lease, "/spec/renewTime", bench.micro_timestamp())
        if bench.now - began > 60:
            bench.write_tasks(job, {3: f"empty/1/0/0/{B}"})

    bench.on_sleep = live
    worker, executor = worker_of(bench, job)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [task.number for task in executor.begun] == [0, 1, 2]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 9), unique=True),
    st.integers(0, 12),
    st.lists(st.sampled_from(["running", "pending", "failed"]), min_size=10, max_size=10),
)
def test_the_number_never_rises_and_never_falls_below_four(order: list[int], partitions: int, names: list[str]) -> None:
    """Whatever becomes of tasks: who has left is not missed later, and workers 0 to 3 stay."""
    bench = Bench()
    job = bench.deployed(inputs=list("abcdefghij"), partitions=partitions)
    shard = bench.shard(job)
    spelled: dict[str, Callable[[int], str]] = {
        "running": lambda epoch: f"running/{epoch}/0/0/{B}",
        "pending": lambda epoch: f"pending/{epoch}/0/0/",
        "failed": lambda epoch: f"failed/{epoch}/4/0/",
    }
    before = workers_needed(job, job.stages[0], [shard])
    for step, number in enumerate(order):
        bench.write_tasks(job, {each: spelled[names[each]](step + 2) for each in order[step:]})
        shard = bench.write_tasks(job, {number: f"done/{step + 2}/0/0/{B}"})
        now = workers_needed(job, job.stages[0], [shard])
        assert now <= before
        assert now >= 4 or shard.committed
        before = now
    if partitions:
        moved = evolve(job, stage="reduce")
        now = workers_needed(moved, moved.stages[1], [bench.shard(moved, 1)])
        assert 4 <= now <= before
