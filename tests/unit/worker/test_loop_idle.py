"""A worker that finds no open shard reclaims tasks, advances the stage or waits, and never loops without a pause."""

from __future__ import annotations

import pytest

from kubemr.locks.effects import Request, Watch, WatchEvent
from kubemr.worker.scheduling.identity import ExitReason
from support.bench import LEASE_SECONDS, Bench
from support.planned import worker_of

B = "w1-bbbbbb"


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


def test_a_dead_workers_task_is_reclaimed(bench: Bench) -> None:
    """Immediately if its Lease has another holder; the task then runs alone, because it has a loss."""
    job = bench.deployed(inputs=["a", "b"], partitions=0)
    bench.write_tasks(job, {1: f"running/1/0/0/{B}"})
    worker, executor = worker_of(bench, job)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [task.attempt[:2] for task in executor.begun] == ["1-", "2-"]
    assert bench.shard(job).tasks[1].losses == 1


def test_a_task_is_reclaimed_a_lease_duration_after_the_last_heartbeat(bench: Bench) -> None:
    """By the observer's clock, from its reads.  (With `maxAttempts` 1 the task has no backup before.)"""
    job = bench.deployed(inputs=["a", "b"], partitions=0, maxAttempts=1)
    bench.write_tasks(job, {1: f"running/1/0/0/{B}"})
    bench.hold_lease(job, 1, B)
    worker, _ = worker_of(bench, job)
    began = bench.now
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert LEASE_SECONDS <= bench.now - began <= 2 * LEASE_SECONDS


def test_a_live_workers_task_is_waited_for(bench: Bench) -> None:
    """However long it takes; then the stage is sealed."""
    job = bench.deployed(inputs=["a", "b"], partitions=0, maxAttempts=1)
    bench.write_tasks(job, {1: f"running/1/0/0/{B}"})
    lease = bench.hold_lease(job, 1, B)
    worker, executor = worker_of(bench, job)
    began = bench.now

    def live() -> None:
        bench.set(lease, "/spec/renewTime", bench.micro_timestamp())
        if bench.now - began > 100:
            bench.write_tasks(job, {1: f"empty/1/0/0/{B}"})

    bench.on_sleep = live
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [task.number for task in executor.begun] == [0]
    requests = [request for request in bench.requests if request.verb in ("get", "list")]
    assert len(requests) < 8 * (bench.now - began), "it asks more often than a few times a second"


def test_one_watch_on_the_open_shards_of_the_job(bench: Bench) -> None:
    """Of any stage, so that the next one's are seen as soon as another worker has sealed this one."""
    job = bench.deployed(inputs=["a", "b"], partitions=0)
    bench.write_tasks(job, {1: f"running/1/0/0/{B}"})
    bench.hold_lease(job, 1, B)
    worker, _ = worker_of(bench, job)
    bench.run(worker.run())
    watch = bench.watches[0]
    assert watch.label_selector == (
        f"kubemr.turbobytes.com/job-uid={job.uid},kubemr.turbobytes.com/run=1,kubemr.turbobytes.com/tasks=open"
    )
    assert int(watch.resource_version) > 0
    assert watch.timeout <= LEASE_SECONDS / 4


@pytest.mark.parametrize("event", [None, WatchEvent("ERROR", {"code": 410})], ids=["refused", "expired"])
def test_a_watch_that_ends_at_once_is_no_reason_to_spin(bench: Bench, event: WatchEvent | None) -> None:
    """Denied, too many requests, an apiserver that is down: the worker waits anyway."""
    job = bench.deployed(inputs=["a", "b"], partitions=0, maxAttempts=1)
    bench.write_tasks(job, {1: f"running/1/0/0/{B}"})
    bench.hold_lease(job, 1, B)

    bench.watching = lambda watch: event
    worker, _ = worker_of(bench, job)
    requests: list[Request] = []

    def count(request: Request) -> None:
        requests.append(request)
        assert len(requests) < 300, f"{len(requests)} requests in {bench.now - 1000:.1f} s"

    bench.before.append(count)
    assert bench.run(worker.run()) is ExitReason.COMPLETE


def test_an_event_ends_the_wait(bench: Bench) -> None:
    """A shard has opened."""
    job = bench.deployed(inputs=["a", "b"], partitions=0)
    bench.write_tasks(job, {1: f"running/1/0/0/{B}"})
    bench.hold_lease(job, 1, B)

    def opened(watch: Watch) -> WatchEvent:
        bench.write_tasks(job, {1: "pending/2/0/0/"})
        return WatchEvent("MODIFIED", {})

    bench.watching = opened
    worker, _ = worker_of(bench, job)
    began = bench.now
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert bench.now - began < 0.5


def test_labels_that_are_all_wrong_are_repaired(bench: Bench) -> None:
    """All labels are `done`, but not all tasks: the worker finds that out by the consistent list."""
    job = bench.deployed(inputs=["a", "b"], partitions=0, replicas=2)
    bench.write_tasks(job, {0: f"running/1/0/0/{B}", 1: "empty/1/0/0/w1-cccccc"})
    lease = bench.hold_lease(job, 1, B)
    hint = "/metadata/labels/kubemr.turbobytes.com~1tasks"
    bench.set(bench.shard(job).target, hint, "done")
    worker, executor = worker_of(bench, job)
    hints: list[str] = []

    def live() -> None:
        bench.set(lease, "/spec/renewTime", bench.micro_timestamp())
        hints.append(bench.shard(job).hint)
        if len(hints) == 3:
            bench.write_tasks(job, {0: "pending/2/0/0/"})

    bench.on_sleep = live
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert hints[0] == "drained"
    assert [task.number for task in executor.begun] == [0]


def test_a_shard_with_a_wrong_label_open(bench: Bench) -> None:
    """A worker that looks for work repairs the label."""
    job = bench.deployed(inputs=[str(number) for number in range(64)], partitions=0, replicas=2)
    bench.write_tasks(job, {number: f"empty/1/0/0/{B}" for number in range(32, 64)}, 0, 1)
    worker, executor = worker_of(bench, job)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert {task.number for task in executor.begun} == set(range(32))
    assert bench.shard(job, 0, 1).hint == "done"


def test_a_failure_that_another_worker_wrote_fails_the_job(bench: Bench) -> None:
    """The worker that reads it fails the job; the worker that wrote it may be dead."""
    job = bench.deployed(inputs=["a", "b"], maxAttempts=1)
    bench.write_tasks(job, {1: "failed/1/1/0/"})
    worker, _ = worker_of(bench, job)
    assert bench.run(worker.run()) is ExitReason.FAIL
    assert bench.job().document["status"]["error"] == "map/1 failed once: no attempt left an error"


def test_a_task_that_the_worker_holds_without_knowing_is_adopted(bench: Bench) -> None:
    """After a late claim the worker runs the task, and does not wait until it is lost."""
    job = bench.deployed(inputs=["a", "b"], partitions=0)
    worker, executor = worker_of(bench, job)
    bench.write_tasks(job, {0: f"running/1/0/0/{worker.identity.token}", 1: f"empty/1/0/0/{B}"})
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [(task.number, task.attempt[:1]) for task in executor.begun] == [(0, "1")]
