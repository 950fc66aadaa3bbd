"""Idle workers scale down in the tail of a stage; enough of them stay, and those with the lowest indexes always."""

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
    """Deploy a job of ten tasks, of which a live worker runs some and the others are committed."""
    job = bench.deployed(inputs=list("abcdefghij"), replicas=100, **spec)  # type: ignore[arg-type]  # fields of a spec
    states = {number: f"{'running' if number < running else 'empty'}/1/0/0/{B}" for number in range(10)}
    bench.write_tasks(job, states)
    lease = bench.hold_lease(job, 1, B)
    bench.on_sleep = lambda: bench.set(lease, "/spec/renewTime", bench.micro_timestamp())
    return job


def exit_reason(bench: Bench, job: JobView, index: int) -> ExitReason | None:
    """Return why the worker with this index exits; None if it waits first."""
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
    """One for each task, one as a backup or in place of a dead holder; all other workers exit immediately."""
    job = tail(bench, running, partitions=0)
    assert exit_reason(bench, job, last + 1) is ExitReason.SCALED_DOWN
    assert exit_reason(bench, job, last) is None


@pytest.mark.parametrize(("partitions", "last"), [(1, 3), (20, 41)])
def test_workers_are_needed_again_for_the_next_stage(bench: Bench, partitions: int, last: int) -> None:
    """In the tail of the map stage those stay that reduce has tasks for."""
    job = tail(bench, 1, partitions=partitions)
    assert exit_reason(bench, job, last + 1) is ExitReason.SCALED_DOWN
    assert exit_reason(bench, job, last) is None


def test_no_worker_scales_down_while_a_task_is_pending(bench: Bench) -> None:
    """There is work."""
    job = tail(bench, 1, partitions=0)
    bench.write_tasks(job, {0: "pending/2/0/0/"})
    worker, executor = worker_of(bench, job, 50)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [task.number for task in executor.begun] == [0]


def test_no_worker_scales_down_while_it_holds_a_task(bench: Bench) -> None:
    """It first runs a task that it holds without knowing."""
    job = tail(bench, 1, partitions=0)
    worker, executor = worker_of(bench, job, 50)
    bench.write_tasks(job, {0: f"running/1/0/0/{worker.identity.token}", 1: f"running/1/0/0/{B}"})
    bench.on_sleep = lambda: pytest.fail("it waits")
    assert bench.run(worker.run()) is ExitReason.SCALED_DOWN
    assert [task.number for task in executor.begun] == [0]


def test_the_worker_that_sees_a_complete_stage_seals_it(bench: Bench) -> None:
    """It does not scale down first, because the workers that stay may be dead."""
    job = tail(bench, 0, partitions=0)
    worker, _ = worker_of(bench, job, 99)
    assert bench.run(worker.run()) is ExitReason.COMPLETE


def test_a_worker_that_sees_a_failed_task_fails_the_job(bench: Bench) -> None:
    """It does not scale down first, either."""
    job = tail(bench, 1, partitions=0)
    bench.write_tasks(job, {0: "failed/1/4/0/"})
    worker, _ = worker_of(bench, job, 99)
    assert bench.run(worker.run()) is ExitReason.FAIL


def test_the_workers_that_stay_watch_the_holders_as_in_a_small_job(bench: Bench) -> None:
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


def test_an_incomplete_list_is_no_tail(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker scales down or backs up a task while the list may be incomplete."""
    monkeypatch.setattr(loop, "UNFINISHED_SAMPLE", 1)
    monkeypatch.setattr(loop, "FULL_LIST_EVERY", 1e9)
    job = tail(bench, 1, partitions=0)
    assert exit_reason(bench, job, 99) is None
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
    """In any order of events: workers that scaled down are not missed later, and workers 0 to 3 stay."""
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
