"""DEPLOYING with `inputsFrom`: one plan is written and recorded; whatever is in the way is said, and nothing stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from kubemr.controller.inputs.plan import SplitPlan
from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.phases import plan_inputs
from kubemr.controller.reconcile.reconciler import reconcile
from kubemr.coordination.job_view import JobView
from kubemr.locks.conditional import RequestRefusedError
from kubemr.locks.effects import Answer, Json, Request
from support.bench import DENIED, INVALID, LOST_ANSWER, Bench, BenchSettings, asks, operator_lease, patches


def planned(bench: Bench, root: Path, operator: ReconcileContext, files: int = 40, **spec: Json) -> JobView:
    """Create a job that is DEPLOYING with this number of input files, before any operator has listed them."""
    for number in range(files):
        (root / f"{number:02d}.txt").write_text("x")
    source = {"prefix": root.as_uri() + "/"}
    bench.submit(**{"inputs": None, "inputsFrom": [source], **spec})
    bench.step(operator)
    bench.step(operator)
    job = bench.job()
    assert (job.phase, job.stages[0].total) == ("DEPLOYING", 0)
    return job


def inputs(bench: Bench) -> list[str]:
    """Return what the recorded plan lists."""
    job = bench.job()
    assert job.inputs is not None
    prefix = f"{job.storage_prefix}inputs/{job.inputs.plan}/"
    found = sorted(key for key in bench.store.objects if key.startswith(prefix))
    assert found == [f"{prefix}{number}.json" for number in range(len(found))]
    return [text for key in found for text in json.loads(bench.store.objects[key])]


def plans(bench: Bench) -> set[str]:
    """Return the plans that have objects in the store."""
    return {key.split("/")[2] for key in bench.store.objects if "/inputs/" in key}


def test_the_inputs_are_found_and_the_job_deployed(bench: Bench, operator: ReconcileContext, tmp_path: Path) -> None:
    """First the plan is recorded with the numbers of tasks, then shards are made for them, then pods."""
    planned(bench, tmp_path, operator)
    assert bench.step(operator) == 0.0
    job = bench.job()
    assert (job.phase, job.stages[0].total, job.stages[0].shards) == ("DEPLOYING", 40, 2)
    status = job.document["status"]
    assert status["progress"] == "0/42"
    assert status["inputs"]["files"] == status["inputs"]["bytes"] == 40
    assert inputs(bench) == [f"{tmp_path.as_uri()}/{number:02d}.txt" for number in range(40)]
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"
    assert len(bench.shard(job, 0, 1).tasks) == 8


@pytest.mark.parametrize("fate", ["lost answer", "done"])
def test_the_plan_that_counts_is_the_recorded_one(
    bench: Bench, operator: ReconcileContext, tmp_path: Path, fate: str
) -> None:
    """A listing may change: who comes later finds a plan and looks no more."""
    planned(bench, tmp_path, operator)
    if fate == "lost answer":
        bench.lose(patches("mapreducejobs"))
    bench.step(operator)
    (tmp_path / "99.txt").write_text("late")
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"
    assert len(inputs(bench)) == bench.job().stages[0].total == 40
    assert len(plans(bench)) == 1


@pytest.mark.parametrize("requests", range(1, 4))
def test_another_operator_writes_another_plan(bench: Bench, tmp_path: Path, requests: int) -> None:
    """Wherever the first has died.  Its plan is not the one that counts, unless it was recorded."""
    first = bench.operator("op-a")
    planned(bench, tmp_path, first)
    bench.uniform = lambda: 0.25
    bench.crash_after(reconcile(bench.job().document, first), requests)
    recorded = bench.job().inputs
    (tmp_path / "99.txt").write_text("late")
    bench.uniform = lambda: 0.75
    bench.delete(operator_lease("op-a"))
    second = bench.operator("op-b")
    for _ in range(3):
        if bench.job().phase == "DEPLOYING":
            bench.step(second)
    job = bench.job()
    assert job.phase == "DEPLOYED"
    assert job.inputs is not None
    assert len(inputs(bench)) == job.inputs.tasks == job.stages[0].total == (41 if recorded is None else 40)


def test_a_plan_is_of_the_driver(bench: Bench, operator: ReconcileContext, tmp_path: Path) -> None:
    """An operator that was paused, and has lost the job's lock, records nothing and deletes its objects."""
    job = planned(bench, tmp_path, operator)
    bench.meanwhile(patches("mapreducejobs"), lambda: bench.set(job.status, "/status/lockholder", "op-b/2/1"))
    assert bench.step(operator) == 0.0
    assert bench.job().inputs is None
    assert plans(bench) == set()


@pytest.mark.parametrize("what", ["deleted", "another has the lock"])
def test_a_long_listing_ends_when_the_job_is_not_ours_any_more(
    bench: Bench, operator: ReconcileContext, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks once a second; what it wrote is removed, since who deletes the job may have been there before."""
    job = planned(bench, tmp_path, operator, files=200)
    slow(bench, monkeypatch)

    def happen() -> None:
        if what == "deleted":
            bench.delete(job.target)
        else:
            bench.set(job.status, "/status/lockholder", "op-b/2/1")

    bench.meanwhile(asks("get", "mapreducejobs"), happen)
    assert bench.step(operator) == 0.0
    assert plans(bench) == set()
    assert bench.job().inputs is None


def slow(bench: Bench, monkeypatch: pytest.MonkeyPatch, seconds: float = 3.0) -> None:
    """Every 64 files take so long."""

    def clock() -> float:
        bench.now += seconds
        return bench.now

    monkeypatch.setattr(plan_inputs, "SplitPlan", partial(SplitPlan, clock=clock))


def test_a_long_listing_says_how_far_it_is(
    bench: Bench, operator: ReconcileContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every few seconds, by a condition; the job is deployed all the same."""
    planned(bench, tmp_path, operator, files=200)
    slow(bench, monkeypatch)
    said: list[str] = []

    def listen(request: Request, answer: Answer) -> Answer:
        for each in bench.job().document["status"]["conditions"]:
            if each["type"] == "Deployed" and each["message"] not in said:
                assert (each["status"], each["reason"]) == ("False", "ListingInputs")
                said.append(each["message"])
        return answer

    bench.after.append(listen)
    bench.step(operator)
    bench.after.clear()
    assert said == [f"{number} files found so far" for number in (64, 128, 192)]
    bench.step(operator)
    job = bench.job()
    assert (job.phase, job.stages[0].total) == ("DEPLOYED", 200)
    (condition,) = (each for each in job.document["status"]["conditions"] if each["type"] == "Deployed")
    assert (condition["status"], condition["message"]) == ("True", "2 workers")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ({"glob": "file:///nowhere-at-all/*"}, 'spec.inputsFrom[0].glob: "file:///nowhere-at-all/*": matches no file'),
        ({"manifest": "file:///no/list"}, 'spec.inputsFrom[0].manifest: "file:///no/list": '),
    ],
)
def test_inputs_that_are_wrong_fail_the_job(bench: Bench, operator: ReconcileContext, source: Json, error: str) -> None:
    """With field, value and remedy; nothing was created that would have to go."""
    bench.submit(inputs=None, inputsFrom=[source])
    for _ in range(3):
        bench.step(operator)
    job = bench.job()
    assert job.phase == "FAIL"
    assert job.document["status"]["error"].startswith(error)
    assert "; remedy: " in job.document["status"]["error"]
    (condition,) = (each for each in job.document["status"]["conditions"] if each["type"] == "Failed")
    assert condition["reason"] == "InvalidInputs"
    assert bench.everything() == {}


def test_a_line_that_is_wrong_leaves_no_part_of_a_plan(
    bench: Bench, operator: ReconcileContext, tmp_path: Path
) -> None:
    """Chunks were written before it was found."""
    (tmp_path / "list").write_text("s3://b/x\n" * 3000 + "foo\n")
    bench.submit(inputs=None, inputsFrom=[{"manifest": (tmp_path / "list").as_uri()}])
    for _ in range(3):
        bench.step(operator)
    assert bench.job().phase == "FAIL"
    assert "line 3001 is not an address" in bench.job().document["status"]["error"]
    assert plans(bench) == set()


def test_where_an_operator_may_not_look(bench: Bench, tmp_path: Path) -> None:
    """The job fails and says what to do."""
    operator = bench.operator()
    assert isinstance(operator.settings, BenchSettings)
    operator.settings.allowed = ()
    planned(bench, tmp_path, operator)
    bench.step(operator)
    assert "may not read there with its own permissions" in bench.job().document["status"]["error"]


def test_a_store_that_fails_is_waited_for(bench: Bench, operator: ReconcileContext, tmp_path: Path) -> None:
    """The job reports it, and continues when the store is back."""
    planned(bench, tmp_path, operator)
    bench.storage_fails = True
    assert bench.step(operator) == 10.0
    job = bench.job()
    assert job.phase == "DEPLOYING"
    assert job.document["status"]["error"].startswith("spec.inputsFrom cannot be listed: put ")
    bench.storage_fails = False
    bench.step(operator)
    bench.step(operator)
    job = bench.job()
    assert (job.phase, job.document["status"].get("error")) == ("DEPLOYED", None)


def test_a_secret_that_is_missing_is_waited_for(bench: Bench, operator: ReconcileContext, tmp_path: Path) -> None:
    """The inputs are looked for with the job's own keys."""
    storage = {"s3": {"bucket": "abc", "secretRef": {"name": "keys"}}}
    planned(bench, tmp_path, operator, storage=storage)
    assert bench.step(operator) == 10.0
    assert "the Secret 'keys' in namespace 'default' does not exist" in bench.job().document["status"]["error"]


def test_a_retry_keeps_the_plan(bench: Bench, operator: ReconcileContext, tmp_path: Path) -> None:
    """Tasks keep their numbers: what was committed stays true, whatever a listing would say today."""
    planned(bench, tmp_path, operator)
    bench.step(operator)
    bench.step(operator)
    job = bench.job()
    bench.write_tasks(job, {0: "done/1/0/0/w0-aaaaaa"})
    bench.set(job.status, "/status/phase", "FAIL")
    (tmp_path / "00.txt").unlink()
    bench.set(job.target, "/spec/restarts", 1)
    for _ in range(8):
        bench.step(operator)
        if bench.job().phase == "DEPLOYED":
            break
    again = bench.job()
    assert (again.phase, again.run, again.inputs) == ("DEPLOYED", 2, job.inputs)
    assert again.stages[0].total == 40
    assert bench.shard(again).tasks[0].committed
    assert len(inputs(bench)) == 40


def test_the_plan_goes_when_the_job_is_complete(bench: Bench, operator: ReconcileContext, tmp_path: Path) -> None:
    """It is of no more use than the outputs of the map stage."""
    planned(bench, tmp_path, operator)
    bench.step(operator)
    bench.step(operator)
    assert plans(bench)
    bench.set(bench.job().status, "/status/phase", "COMPLETE")
    bench.step(operator)
    assert plans(bench) == set()


def test_silence_while_it_is_recorded(bench: Bench, operator: ReconcileContext, tmp_path: Path) -> None:
    """The patch had no clear answer and was not carried out: it is sent again."""
    planned(bench, tmp_path, operator)
    bench.answer(patches("mapreducejobs"), LOST_ANSWER)
    bench.step(operator)
    assert bench.job().inputs is not None
    assert len(plans(bench)) == 1


def failed(bench: Bench) -> tuple[str, str]:
    """Why the job failed, by reason and in words."""
    job = bench.job()
    assert job.phase == "FAIL"
    (condition,) = (each for each in job.document["status"]["conditions"] if each["type"] == "Failed")
    return condition["reason"], job.document["status"]["error"]


@pytest.mark.parametrize("sizes", [[2**53 + 1], [2**53, 1]])
def test_sizes_that_no_status_can_hold_fail_the_job(
    bench: Bench, operator: ReconcileContext, tmp_path: Path, sizes: list[int]
) -> None:
    """One by one and together, before anything is patched that would be refused."""
    (tmp_path / "list").write_text("".join(f"s3://b/x\t{size}\n" for size in sizes))
    bench.submit(inputs=None, inputsFrom=[{"manifest": (tmp_path / "list").as_uri()}])
    for _ in range(3):
        bench.step(operator)
    reason, error = failed(bench)
    assert reason == "InvalidInputs"
    assert "more than 9,007,199,254,740,992 bytes" in error
    assert plans(bench) == set()


def test_a_plan_that_is_refused_for_good_fails_the_job(
    bench: Bench, operator: ReconcileContext, tmp_path: Path
) -> None:
    """By the schema or a policy: the job says what they said, and nothing of the plan stays."""
    planned(bench, tmp_path, operator)
    bench.answer(patches("mapreducejobs"), INVALID)
    assert bench.step(operator) is None
    assert failed(bench) == (
        "InputsRejected",
        "spec.inputsFrom: what was found cannot be recorded on the job: spec.template: Invalid value;"
        " correct spec.inputsFrom, or the policy that refuses it",
    )
    assert plans(bench) == set()


def test_a_plan_for_which_a_right_is_missing_is_made_again(
    bench: Bench, operator: ReconcileContext, tmp_path: Path
) -> None:
    """The job reports it, and continues when the permission is there; each try deletes what it wrote."""
    planned(bench, tmp_path, operator)
    for _ in range(2):
        bench.answer(patches("mapreducejobs"), DENIED)
        assert bench.step(operator) == 10.0
        job = bench.job()
        assert job.phase == "DEPLOYING"
        assert "cannot be recorded on the job: no; grant the operator the permission" in job.document["status"]["error"]
        assert plans(bench) == set()
    bench.step(operator)
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"
    assert bench.job().document["status"].get("error") is None


@pytest.mark.parametrize(
    ("applied", "denied"),
    [
        (True, asks("get", "mapreducejobs")),
        (False, asks("get", "mapreducejobs")),
        (False, patches("mapreducejobs")),
    ],
)
def test_a_plan_that_may_have_been_recorded_stays(
    bench: Bench, operator: ReconcileContext, tmp_path: Path, applied: bool, denied: Callable[[Request], bool]
) -> None:
    """The answer was lost, and then the permission: whether the job names the plan, or will, is unknown."""
    planned(bench, tmp_path, operator)
    if applied:
        bench.lose(patches("mapreducejobs"))
    else:
        bench.answer(patches("mapreducejobs"), LOST_ANSWER)
    bench.answer(denied, DENIED)
    with suppress(RequestRefusedError):
        bench.step(operator)
    assert len(plans(bench)) == 1
    assert (bench.job().inputs is not None) == applied
    for _ in range(3):
        if bench.job().phase == "DEPLOYING":
            bench.step(operator)
    assert bench.job().phase == "DEPLOYED"
    assert len(inputs(bench)) == 40


def test_a_plan_goes_when_nothing_may_be_said_of_it(
    bench: Bench, operator: ReconcileContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even its progress: the next try writes another plan."""
    planned(bench, tmp_path, operator, files=200)
    slow(bench, monkeypatch)
    monkeypatch.setattr("kubemr.controller.inputs.plan.TASKS_PER_CHUNK", 16)
    bench.answer(patches("mapreducejobs"), DENIED)
    with pytest.raises(RequestRefusedError, match="403"):
        bench.step(operator)
    assert plans(bench) == set()
