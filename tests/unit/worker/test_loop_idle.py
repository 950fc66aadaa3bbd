"""A worker that finds nothing open: it buries the dead, moves the stage on, or waits; it never spins."""

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


def test_a_dead_workers_task_is_taken_over(bench: Bench) -> None:
    """At once when its Lease has another holder; it is then run alone, as its holder died on it."""
    job = bench.deployed(inputs=["a", "b"], partitions=0)
    bench.write_tasks(job, {1: f"running/1/0/0/{B}"})
    worker, executor = worker_of(bench, job)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [task.attempt[:2] for task in executor.begun] == ["1-", "2-"]
    assert bench.shard(job).tasks[1].losses == 1


def test_a_silent_workers_task_after_a_lease_duration(bench: Bench) -> None:
    """By the observer's own clock, over its own reads.  (With `maxAttempts` 1 nobody backs it up before.)"""
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
    """Denied, too many requests, an apiserver that is away: the time passes all the same."""
    job = bench.deployed(inputs=["a", "b"], partitions=0, maxAttempts=1)
    bench.write_tasks(job, {1: f"running/1/0/0/{B}"})
    bench.hold_lease(job, 1, B)

    bench.watching = lambda watch: event
    worker, _ = worker_of(bench, job)
    looks: list[Request] = []

    def count(request: Request) -> None:
        looks.append(request)
        assert len(looks) < 300, f"{len(looks)} requests in {bench.now - 1000:.1f} s"

    bench.before.append(count)
    assert bench.run(worker.run()) is ExitReason.COMPLETE


def test_an_event_is_a_reason_to_look_at_once(bench: Bench) -> None:
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
    """They say that everything is done, and it is not: the consistent look tells."""
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


def test_a_shard_that_says_open_and_is_not(bench: Bench) -> None:
    """It is repaired in passing, by whoever looks for work."""
    job = bench.deployed(inputs=[str(number) for number in range(64)], partitions=0, replicas=2)
    bench.write_tasks(job, {number: f"empty/1/0/0/{B}" for number in range(32, 64)}, 0, 1)
    worker, executor = worker_of(bench, job)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert {task.number for task in executor.begun} == set(range(32))
    assert bench.shard(job, 0, 1).hint == "done"


def test_a_failure_that_somebody_else_wrote_fails_the_job(bench: Bench) -> None:
    """Whoever reads it flips the job; the worker that wrote it may be dead."""
    job = bench.deployed(inputs=["a", "b"], maxAttempts=1)
    bench.write_tasks(job, {1: "failed/1/1/0/"})
    worker, _ = worker_of(bench, job)
    assert bench.run(worker.run()) is ExitReason.FAIL
    assert bench.job().document["status"]["error"] == "map/1 failed once: no attempt left an error"


def test_a_task_of_ones_own_that_one_did_not_know_of_is_adopted(bench: Bench) -> None:
    """A claim that landed late: it is run, and not left to expire."""
    job = bench.deployed(inputs=["a", "b"], partitions=0)
    worker, executor = worker_of(bench, job)
    bench.write_tasks(job, {0: f"running/1/0/0/{worker.identity.token}", 1: f"empty/1/0/0/{B}"})
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [(task.number, task.attempt[:1]) for task in executor.begun] == [(0, "1")]
