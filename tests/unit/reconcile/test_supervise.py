"""DEPLOYED: counts, tasks of dead workers, sealing stages, and the deadline."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import Answer, Json, Request
from support.bench import LEASE_SECONDS, Bench, LiveCache, asks, patches

A, B = "w0-aaaaaa", "w1-bbbbbb"


def status(bench: Bench) -> Json:
    """Return the job's status."""
    return bench.job().document["status"]


def finish(bench: Bench, job: JobView, position: int = 0) -> None:
    """Every task of a stage is committed, without any output."""
    bench.write_tasks(job, {task: f"empty/1/0/0/{A}" for task in bench.shard(job, position).tasks}, position)


def test_tasks_are_counted_for_people(bench: Bench, operator: ReconcileContext) -> None:
    """By stage; `done` is what is committed, with an output or without."""
    job = bench.deployed(operator, inputs=list("abcde"))
    bench.hold_lease(job, 0, A)
    bench.write_tasks(job, {0: f"done/1/0/0/{A}", 1: f"empty/1/0/0/{A}", 2: f"running/1/0/0/{A}"})
    assert bench.step(operator) == 2.0
    counts = {name: status(bench)["stages"][0][name] for name in ("pending", "running", "done", "failed")}
    assert counts == {"pending": 2, "running": 1, "done": 2, "failed": 0}
    assert status(bench)["progress"] == "2/7"


def test_nothing_new_is_no_patch(bench: Bench, operator: ReconcileContext) -> None:
    """The status is patched in proportion to time, not to tasks."""
    bench.deployed(operator)
    bench.requests.clear()
    bench.step(operator)
    assert not [request for request in bench.requests if request.verb == "patch"]


def test_counts_that_change_all_the_time_are_patched_every_two_seconds(
    bench: Bench, operator: ReconcileContext
) -> None:
    """Each patch is an event of the job, and so a look at it: they must not chase each other."""
    job = bench.deployed(operator, inputs=list("abcdef"))
    bench.requests.clear()
    for number in range(5):
        bench.hold_lease(job, 0, A)
        bench.write_tasks(job, {number: f"done/1/0/0/{A}"})
        bench.step(operator)
        bench.now += 0.7
    counted = [request for request in bench.requests if patches("mapreducejobs")(request)]
    assert len(counted) == 2
    assert status(bench)["progress"] == "4/8"


def test_a_cache_that_does_not_show_everything_is_not_counted(bench: Bench, operator: ReconcileContext) -> None:
    """It lags behind: the counts would not add up."""
    cache = operator.cache
    assert isinstance(cache, LiveCache)
    cache.revision = bench.server.revision
    job = bench.deployed(operator)
    bench.write_tasks(job, {0: f"done/1/0/0/{A}"})
    bench.step(operator)
    assert status(bench)["progress"] == "0/4"


def test_the_tasks_of_the_dead_are_taken_away(bench: Bench, operator: ReconcileContext) -> None:
    """A token that is not its Lease's holder is dead at once; one that is silent, after a whole duration."""
    job = bench.deployed(operator)
    bench.hold_lease(job, 1, B)
    bench.write_tasks(job, {0: f"running/1/0/0/{A}", 1: f"running/1/0/0/{B}"})
    bench.step(operator)
    assert [str(state) for state in bench.shard(job).tasks.values()] == ["pending/2/0/1/", f"running/1/0/0/{B}"]
    began = bench.now
    while bench.shard(job).holders:
        assert bench.now - began <= LEASE_SECONDS + 2.0
        bench.now += bench.step(operator) or 0.0
    assert bench.now - began >= LEASE_SECONDS
    assert str(bench.shard(job).tasks[1]) == "pending/2/0/1/"


def test_a_stale_cache_declares_no_worker_dead(bench: Bench, operator: ReconcileContext) -> None:
    """It shows a holder that has committed long ago: the patch tests the state, and is lost."""
    job = bench.deployed(operator)
    bench.write_tasks(job, {0: f"running/1/0/0/{A}"})
    cache = operator.cache
    assert isinstance(cache, LiveCache)
    cache.revision = bench.server.revision
    bench.write_tasks(job, {0: f"done/1/0/0/{A}"})
    bench.step(operator)
    assert str(bench.shard(job).tasks[0]) == f"done/1/0/0/{A}"


def test_a_shard_that_is_gone_is_left_alone(bench: Bench, operator: ReconcileContext) -> None:
    """The job is being deleted; its own event is on the way."""
    job = bench.deployed(operator)
    bench.write_tasks(job, {0: f"running/1/0/0/{A}"})
    shard = bench.shard(job)
    bench.meanwhile(patches("mapreducetaskshards"), lambda: bench.delete(shard.target))
    assert bench.step(operator) is not None


def test_a_stage_whose_workers_all_died_is_moved_on(bench: Bench, operator: ReconcileContext) -> None:
    """The operator seals it, and the next, and records the end."""
    job = bench.deployed(operator)
    finish(bench, job)
    bench.step(operator)
    assert status(bench)["stage"] == "reduce"
    assert bench.shard(job, 1).hint == "open"
    finish(bench, job, 1)
    bench.step(operator)
    assert (status(bench)["phase"], status(bench)["resultCount"]) == ("COMPLETE", 0)


def test_a_failed_task_fails_the_job_while_others_are_running(bench: Bench, operator: ReconcileContext) -> None:
    """Any reader of it fails the job: the operator too, when the worker that wrote it died right after."""
    job = bench.deployed(operator, inputs=[str(number) for number in range(40)], maxAttempts=1)
    bench.hold_lease(job, 0, A)
    bench.write_tasks(job, {0: "failed/1/1/0/"})
    bench.write_tasks(job, {35: f"running/1/0/0/{A}"}, 0, 1)
    bench.step(operator)
    assert status(bench)["phase"] == "FAIL"
    assert status(bench)["error"] == "map/0 failed once: no attempt left an error"


def test_no_inputs_complete_with_no_results(bench: Bench, operator: ReconcileContext) -> None:
    """At once."""
    bench.deployed(operator, inputs=[])
    assert bench.step(operator) is None
    assert (status(bench)["phase"], status(bench)["results"], status(bench)["resultCount"]) == ("COMPLETE", [], 0)


@pytest.mark.parametrize(("seconds", "late"), [(100, False), (101, True)])
def test_the_deadline(bench: Bench, operator: ReconcileContext, seconds: int, late: bool) -> None:
    """`activeDeadlineSeconds` from the deployment on, and never early: a status has whole seconds."""
    bench.deployed(operator, activeDeadlineSeconds=100)
    bench.now += seconds
    bench.step(operator)
    assert (status(bench)["phase"] == "FAIL") is late
    if late:
        expected = "spec.activeDeadlineSeconds: the job ran for longer than 100 seconds"
        assert status(bench)["error"] == expected
        assert {each["type"]: each["reason"] for each in status(bench)["conditions"]}["Failed"] == "DeadlineExceeded"


def test_an_unknown_stage(bench: Bench, operator: ReconcileContext) -> None:
    """The status was set by hand: no stage is sealed, and nothing fails."""
    job = bench.deployed(operator)
    bench.set(job.status, "/status/stage", "combine")
    assert bench.step(operator) is not None
    assert status(bench)["phase"] == "DEPLOYED"


def test_a_lease_that_cannot_be_read_declares_no_worker_dead(bench: Bench, operator: ReconcileContext) -> None:
    """Whatever else the apiserver shows."""
    job = bench.deployed(operator)
    bench.hold_lease(job, 0, A)
    bench.write_tasks(job, {0: f"running/1/0/0/{A}"})
    for _ in range(10):
        bench.answer(asks("get", "leases"), *[bench.server.handle(job.target.patch(job.guard().test("/kind", "x")))])
        bench.now += 2.0
        bench.step(operator)
    assert str(bench.shard(job).tasks[0]) == f"running/1/0/0/{A}"


@pytest.mark.parametrize("case", ["there", "gone", "another"])
def test_records_of_a_job_that_was_deleted_do_not_stay(bench: Bench, operator: ReconcileContext, case: str) -> None:
    """An operator that is held up in the middle may write after the job's prefix was cleared, and clears it again."""
    job = bench.deployed(operator)
    bench.write_tasks(job, {0: f"running/1/0/0/{A}"})

    def lost(request: Request, answer: Answer) -> Answer:
        if patches("mapreducetaskshards")(request) and case != "there":
            bench.set(job.target, "/metadata/finalizers", [])
            bench.delete(job.target)
            if case == "another":
                bench.submit()
        return answer

    bench.after.append(lost)
    bench.step(operator)
    kept = [key.removeprefix(job.storage_prefix) for key in bench.store.objects]
    assert kept == ([f"0/map/0/1-{A}/lost.json"] if case == "there" else [])


@pytest.mark.parametrize("case", ["there", "gone", "another"])
def test_the_index_of_a_job_that_was_deleted_does_not_stay(bench: Bench, operator: ReconcileContext, case: str) -> None:
    """A stage that is complete is sealed before the job is asked: what was sealed of a job that is gone goes too."""
    job = bench.deployed(operator)
    finish(bench, job)

    def listed(request: Request, answer: Answer) -> Answer:
        if asks("list", "mapreducetaskshards")(request) and case != "there" and not deleted:
            deleted.append(case)
            bench.set(job.target, "/metadata/finalizers", [])
            bench.delete(job.target)
            if case == "another":
                bench.submit()
        return answer

    deleted: list[str] = []
    bench.after.append(listed)
    bench.step(operator)
    kept = [key.removeprefix(job.storage_prefix) for key in bench.store.objects]
    assert kept == (["run-1/0-map.index.json"] if case == "there" else [])
