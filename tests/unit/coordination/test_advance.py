"""Any process seals a stage, finishes a job or fails it, and of many that do, one succeeds."""

from __future__ import annotations

import json

import pytest

from kubemr.coordination import names
from kubemr.coordination.advance import MAX_ERROR, advance, complete, fail
from kubemr.coordination.attempt_records import AttemptError
from kubemr.coordination.job_view import JobView
from kubemr.coordination.outputs import encode_outputs
from kubemr.coordination.results import Results
from kubemr.coordination.stage_snapshot import take_snapshot
from kubemr.locks import RequestRefusedError
from kubemr.locks.effects import Json, Op
from support.bench import DENIED, LOST_ANSWER, Bench, patches
from support.simulation.referee import Referee
from support.simulation.store import MemoryStore, StoreFailed

A = "w0-aaaaaa"


def status(bench: Bench) -> Json:
    """The job's status."""
    return bench.job().document["status"]


def commit(bench: Bench, job: JobView, position: int, outputs: dict[int, str] | None = None) -> None:
    """Every task of a stage is committed; those of `outputs` with their output."""
    stage = job.stages[position]
    for task in range(stage.total):
        if task in (outputs or {}):
            prefix = names.attempt_prefix(job.storage_prefix, stage.step, stage.name, task, f"1-{A}")
            bench.store.put(prefix + "outputs.json", encode_outputs({task: (outputs or {})[task]}))
        name = "done" if task in (outputs or {}) else "empty"
        bench.write_tasks(job, {task: f"{name}/1/0/0/{A}"}, position, task // 32)


def look_and_advance(bench: Bench, job: JobView) -> Op[bool]:
    """What a worker does that finds nothing open."""
    stage = job.current
    assert stage is not None
    return (yield from advance(job, (yield from take_snapshot(job, stage)), bench.dependencies))


def at_reduce(bench: Bench, **spec: Json) -> JobView:
    """A job whose map stage is sealed."""
    job = bench.deployed(**spec)
    commit(bench, job, 0)
    assert bench.run(look_and_advance(bench, job))
    return bench.job()


def test_a_stage_that_is_not_complete_stays(bench: Bench) -> None:
    """Nothing is written."""
    job = bench.deployed()
    before = bench.server.revision
    assert not bench.run(look_and_advance(bench, job))
    assert (bench.server.revision, bench.store.objects) == (before, {})


def test_sealing_writes_the_index_and_begins_the_next_stage(bench: Bench) -> None:
    """In this order; then the next stage's shards are open."""
    job = bench.deployed()
    commit(bench, job, 0, {1: "x"})
    bench.meanwhile(patches("mapreducejobs"), lambda: seen.extend(bench.store.objects))
    seen: list[str] = []
    bench.run(look_and_advance(bench, job))
    key = names.index_key(job.storage_prefix, 1, 0, "map")
    assert key in seen
    assert json.loads(bench.store.objects[key]) == {"total": 2, "attempts": ["", f"1-{A}"]}
    assert status(bench)["stage"] == "reduce"
    assert status(bench)["stages"][0]["completionTime"] == status(bench)["stages"][1]["startTime"]
    assert bench.shard(job, 1).hint == "open"


def test_of_two_sealers_one_wins_and_neither_fails(bench: Bench) -> None:
    """Every process writes the same index, and the patch of the status tests the stage."""
    job = bench.deployed()
    commit(bench, job, 0)
    bench.meanwhile(patches("mapreducejobs"), lambda: bench.run(look_and_advance(bench, job)))
    assert bench.run(look_and_advance(bench, job))
    assert status(bench)["stage"] == "reduce"


def test_a_sealer_that_wakes_up_late_does_no_harm(bench: Bench) -> None:
    """The job is finished by then."""
    job = bench.deployed()
    commit(bench, job, 0)

    def meanwhile() -> None:
        bench.run(look_and_advance(bench, job))
        commit(bench, job, 1)
        bench.run(look_and_advance(bench, bench.job()))

    bench.meanwhile(patches("mapreducejobs"), meanwhile)
    assert bench.run(look_and_advance(bench, job))
    assert (status(bench)["phase"], status(bench)["stage"]) == ("COMPLETE", "reduce")


def test_a_seal_whose_answer_was_lost(bench: Bench) -> None:
    """It is found in the object, and the next stage is opened all the same."""
    job = bench.deployed()
    commit(bench, job, 0)
    bench.lose(patches("mapreducejobs"))
    assert bench.run(look_and_advance(bench, job))
    assert bench.shard(job, 1).hint == "open"


def test_a_shard_that_was_found_before_it_was_labelled_keeps_its_label(bench: Bench) -> None:
    """`waiting` is replaced under a test."""
    job = bench.deployed()
    commit(bench, job, 0)
    target = bench.shard(job, 1).target
    bench.set(target, "/metadata/labels/kubemr.turbobytes.com~1tasks", "drained")
    bench.run(look_and_advance(bench, job))
    assert bench.shard(job, 1).hint == "drained"


def test_the_end_in_one_patch(bench: Bench) -> None:
    """Results in the order of tasks, counts, phase and condition."""
    job = at_reduce(bench, partitions=3)
    commit(bench, job, 1, {2: "s3://b/2", 0: "s3://b/0"})
    before = bench.server.revision
    bench.run(look_and_advance(bench, job))
    assert bench.server.revision == before + 1
    found = status(bench)
    assert (found["phase"], found["results"], found["resultCount"]) == ("COMPLETE", ["s3://b/0", "s3://b/2"], 2)
    assert found["progress"] == "5/5"
    assert [stage["done"] for stage in found["stages"]] == [2, 3]
    assert found["completionTime"] == found["stages"][1]["completionTime"] == bench.now_string()
    kinds = [each["type"] for each in found["conditions"]]
    assert kinds == ["Valid", "Deployed", "Complete"]
    assert "resultsManifest" not in found


def test_a_map_only_job_ends_after_its_map_stage(bench: Bench) -> None:
    """Its results are the maps' outputs."""
    job = bench.deployed(partitions=0)
    commit(bench, job, 0, {0: "a", 1: "b"})
    bench.run(look_and_advance(bench, job))
    assert (status(bench)["phase"], status(bench)["results"]) == ("COMPLETE", ["a", "b"])


def test_results_that_do_not_fit_go_to_a_manifest(bench: Bench) -> None:
    """All of them there; the first ones on the object."""
    results = [f"{number}" + "x" * 1000 for number in range(40)]
    results[3] = "y" * 1025
    job = at_reduce(bench, partitions=40)
    commit(bench, job, 1, dict(enumerate(results)))
    bench.run(look_and_advance(bench, job))
    assert status(bench)["results"] == results[:3]
    assert status(bench)["resultCount"] == 40
    manifest = status(bench)["resultsManifest"]
    assert manifest == f"memory://{job.storage_prefix}run-1/results.json"
    assert json.loads(bench.store.objects[manifest.removeprefix("memory://")]) == results


def test_a_job_that_is_over_is_not_finished_again(bench: Bench) -> None:
    """COMPLETE and FAIL are final."""
    job = at_reduce(bench)
    bench.run(fail(job, "first", bench.now_string))
    assert bench.run(complete(job, Results(["r"], 1), bench.now_string()))
    assert bench.run(fail(job, "second", bench.now_string))
    assert (status(bench)["phase"], status(bench)["error"]) == ("FAIL", "first")
    assert "results" not in status(bench)


def test_conditions_are_not_lost_to_somebody_elses(bench: Bench) -> None:
    """They are tested as a whole; who is too late looks again.  No type is there twice."""
    job = at_reduce(bench)
    commit(bench, job, 1)
    other = {
        "type": "Complete",
        "status": "False",
        "reason": "Working",
        "message": "",
        "lastTransitionTime": bench.now_string(),
    }
    old = status(bench)["conditions"]
    bench.meanwhile(patches("mapreducejobs"), lambda: bench.set(job.status, "/status/conditions", [*old, other]))
    assert bench.run(look_and_advance(bench, job))
    assert status(bench)["phase"] == "DEPLOYED"
    bench.run(look_and_advance(bench, bench.job()))
    kinds = {each["type"]: each["status"] for each in status(bench)["conditions"]}
    assert kinds == {"Valid": "True", "Deployed": "True", "Complete": "True"}
    assert len(status(bench)["conditions"]) == 3


def write_error(bench: Bench, job: JobView, attempt: str, data: bytes, file: str = "error.json") -> None:
    """What an attempt at map task 0 left."""
    bench.store.put(names.attempt_prefix(job.storage_prefix, 0, "map", 0, attempt) + file, data)


def test_the_first_cause_fails_the_job(bench: Bench) -> None:
    """That of the first attempt, in the order of epochs, not of keys."""
    job = bench.deployed(maxAttempts=2)
    bench.write_tasks(job, {0: "failed/11/2/0/"})
    write_error(bench, job, "11-w1-bbbbbb", AttemptError("KeyError: second", "w1-bbbbbb").encode())
    write_error(bench, job, "9-w0-aaaaaa", AttemptError("ValueError: first", "w0-aaaaaa").encode())
    assert bench.run(look_and_advance(bench, job))
    assert status(bench)["error"] == "map/0 failed 2 times: ValueError: first"
    assert {each["type"]: each["reason"] for each in status(bench)["conditions"]}["Failed"] == "TaskFailed"


@pytest.mark.parametrize("own", [True, False])
def test_the_cause_is_this_runs(bench: Bench, own: bool) -> None:
    """What an earlier run left is passed over, also where this one left nothing, or an error that was not counted.

    Failures are counted per run, and epochs continue: attempt 3 was lost after its worker had written its error.
    """
    job = bench.deployed(maxAttempts=2)
    bench.write_tasks(job, {0: "failed/5/2/1/"})
    snapshot = bench.run(take_snapshot(job, job.stages[0]))
    bench.set(job.status, "/status/run", 2)
    write_error(bench, job, "1-w0-aaaaaa", AttemptError("ValueError: old", "w0-aaaaaa").encode())
    write_error(bench, job, "2-w0-aaaaaa", AttemptError("ValueError: old", "w0-aaaaaa").encode())
    if own:
        for epoch in (3, 4, 5):
            error = AttemptError(f"ValueError: {epoch}", "w1-bbbbbb", run=2)
            write_error(bench, job, f"{epoch}-w1-bbbbbb", error.encode())
    bench.run(advance(bench.job(), snapshot, bench.dependencies))
    why = "ValueError: 3" if own else "no attempt left an error"
    assert status(bench)["error"] == f"map/0 failed 2 times: {why}"


@pytest.mark.parametrize(("epoch", "shown"), [(6, True), (5, False)])
def test_what_the_dead_of_another_run_printed(bench: Bench, epoch: int, shown: bool) -> None:
    """Of five losses three at least began an epoch: logs of earlier ones may be another run's."""
    job = bench.deployed()
    bench.write_tasks(job, {0: "failed/9/0/5/"})
    write_error(bench, job, f"{epoch}-w0-aaaaaa", b"printed", "log.txt")
    bench.run(look_and_advance(bench, job))
    assert ("\nlog: " in status(bench)["error"]) == shown


def test_what_users_write_is_not_taken_for_an_error_of_ours(bench: Bench) -> None:
    """A file of their own of that name, in a folder or in the place of ours, must not keep the job from failing."""
    job = bench.deployed(maxAttempts=1)
    bench.write_tasks(job, {0: "failed/3/1/0/"})
    write_error(bench, job, "1-w0-aaaaaa", b"no JSON at all", "mine/error.json")
    write_error(bench, job, "notes", b"no JSON at all")
    write_error(bench, job, "2-w0-aaaaaa", b"[1, 2]")
    write_error(bench, job, "3-w0-aaaaaa", AttemptError("ValueError: the cause", "w0-aaaaaa").encode())
    bench.run(look_and_advance(bench, job))
    assert status(bench)["error"] == "map/0 failed once: ValueError: the cause"


def test_the_cause_says_where_the_log_is(bench: Bench) -> None:
    """The message has a separate line with the log of the attempt whose error it is."""
    job = bench.deployed(maxAttempts=2)
    bench.write_tasks(job, {0: "failed/2/2/0/"})
    write_error(bench, job, "1-w0-aaaaaa", AttemptError("ValueError: first\nTraceback", "w0-aaaaaa").encode())
    write_error(bench, job, "1-w0-aaaaaa", b"printed", "log.txt")
    bench.run(look_and_advance(bench, job))
    where = f"memory://{job.storage_prefix}0/map/0/1-w0-aaaaaa/log.txt"
    assert status(bench)["error"] == f"map/0 failed 2 times: ValueError: first\nTraceback\nlog: {where}"


def test_a_long_message_makes_room_for_it(bench: Bench) -> None:
    """Both fit on the object."""
    job = bench.deployed(maxAttempts=1)
    bench.write_tasks(job, {0: "failed/1/1/0/"})
    write_error(bench, job, "1-w0-aaaaaa", AttemptError("x" * 5000, "w0-aaaaaa").encode())
    write_error(bench, job, "1-w0-aaaaaa", b"printed", "log.txt")
    bench.run(look_and_advance(bench, job))
    error = status(bench)["error"]
    assert len(error) == 1024
    assert error.endswith(f"x…\nlog: memory://{job.storage_prefix}0/map/0/1-w0-aaaaaa/log.txt")


def test_an_address_that_is_too_long_is_left_out(bench: Bench) -> None:
    """The cause comes first."""
    job = bench.deployed(maxAttempts=1)
    bench.write_tasks(job, {0: "failed/1/1/0/"})
    write_error(bench, job, "1-w0-aaaaaa", AttemptError("ValueError: no", "w0-aaaaaa").encode())
    write_error(bench, job, "1-w0-aaaaaa", b"printed", "log.txt")

    class FarAway(MemoryStore):
        """A store with long addresses."""

        def url(self, key: str) -> str:
            """One of them."""
            return "memory://" + "x" * 600 + key

    bench.store = FarAway(Referee(), lambda: False, bench.store.objects)
    bench.run(look_and_advance(bench, job))
    assert status(bench)["error"] == "map/0 failed once: ValueError: no"


def test_what_the_dead_printed_last(bench: Bench) -> None:
    """The log of the latest attempt that has one."""
    job = bench.deployed()
    bench.write_tasks(job, {1: "failed/6/0/5/"})
    for attempt in ("9-w0-aaaaaa", "10-w0-bbbbbb"):
        prefix = names.attempt_prefix(job.storage_prefix, 0, "map", 1, attempt)
        bench.store.put(f"{prefix}log.txt", b"printed")
    bench.run(look_and_advance(bench, job))
    error = status(bench)["error"]
    assert error.startswith("map/1: 5 workers died while they ran it")
    assert error.endswith(f"\nlog: memory://{job.storage_prefix}0/map/1/10-w0-bbbbbb/log.txt")


def test_a_task_whose_holders_died_has_no_error_to_read(bench: Bench) -> None:
    """The message says so, and what may help."""
    job = bench.deployed()
    bench.write_tasks(job, {1: "failed/6/0/5/"})
    bench.run(look_and_advance(bench, job))
    assert status(bench)["error"].startswith("map/1: 5 workers died while they ran it (out of memory, or killed)")


def test_a_long_error_is_cut(bench: Bench) -> None:
    """To what the field holds."""
    job = bench.deployed()
    bench.run(fail(job, "x" * 5000, bench.now_string))
    assert len(status(bench)["error"]) == MAX_ERROR
    assert status(bench)["error"].endswith("…")


def test_a_store_that_fails_changes_nothing(bench: Bench) -> None:
    """The error is the caller's; the next to look goes on."""
    job = bench.deployed()
    commit(bench, job, 0)
    bench.storage_fails = True
    with pytest.raises(StoreFailed):
        bench.run(look_and_advance(bench, job))
    assert status(bench)["stage"] == "map"


def test_a_refused_status_patch_is_an_error(bench: Bench) -> None:
    """Also after a lost answer."""
    job = bench.deployed()
    bench.answer(patches("mapreducejobs"), DENIED)
    with pytest.raises(RequestRefusedError, match="patching the status of mapreducejobs default/words"):
        bench.run(fail(job, "x", bench.now_string))
    bench.answer(patches("mapreducejobs"), LOST_ANSWER, DENIED)
    with pytest.raises(RequestRefusedError):
        bench.run(fail(job, "x", bench.now_string))


def test_a_job_that_is_gone_has_changed(bench: Bench) -> None:
    """The caller looks again, and sees it."""
    job = bench.deployed()
    bench.patch(job.target, {"op": "remove", "path": "/metadata/finalizers"})
    bench.delete(job.target)
    assert bench.run(fail(job, "x", bench.now_string))


@pytest.mark.parametrize("requests", range(1, 4))
def test_a_crash_in_the_middle_of_sealing(requests: int) -> None:
    """After each request: another goes on, and the job ends as it should."""
    bench = Bench()
    job = bench.deployed()
    commit(bench, job, 0)
    bench.crash_after(look_and_advance(bench, job), requests)
    if status(bench)["stage"] == "map":
        bench.run(look_and_advance(bench, bench.job()))
    commit(bench, job, 1)
    bench.run(look_and_advance(bench, bench.job()))
    assert status(bench)["phase"] == "COMPLETE"
