"""A new job becomes PENDING, or FAIL with the reasons."""

from __future__ import annotations

from kubemr.controller.reconcile.context import FINALIZER, ReconcileContext
from kubemr.controller.reconcile.phases.accept import SHOWN_PROBLEMS, summarize_problems
from kubemr.controller.reconcile.reconciler import reconcile
from kubemr.coordination.advance import MAX_ERROR
from kubemr.locks.effects import Json
from support.bench import DENIED, Bench, BenchSettings, asks, patches


def status(bench: Bench) -> Json:
    """Return the job's status."""
    return bench.job().document.get("status") or {}


def conditions(bench: Bench) -> dict[str, tuple[str, str]]:
    """Status and reason by type; no type is there twice."""
    found = status(bench).get("conditions") or []
    by_type = {each["type"]: (each["status"], each["reason"]) for each in found}
    assert len(by_type) == len(found)
    return by_type


def test_a_valid_job_is_pending(bench: Bench, operator: ReconcileContext) -> None:
    """It has the finalizer before anything exists that would have to be cleaned up."""
    bench.submit()
    seen: list[Json] = []
    bench.meanwhile(lambda request: request.subresource == "status", lambda: seen.append(bench.job().document))
    assert bench.step(operator) is None
    assert seen[0]["metadata"]["finalizers"] == [FINALIZER]
    assert status(bench)["phase"] == "PENDING"
    assert status(bench)["run"] == 1
    assert status(bench)["observedGeneration"] == 1
    assert conditions(bench) == {"Valid": ("True", "Valid")}
    assert bench.events() == [("Accepted", "the job is valid")]


def test_another_finalizer_stays(bench: Bench, operator: ReconcileContext) -> None:
    """Ours is added to it, once."""
    job = bench.submit()
    bench.set(job.target, "/metadata/finalizers", ["example.com/mine"])
    bench.step(operator)
    assert bench.job().document["metadata"]["finalizers"] == ["example.com/mine", FINALIZER]


def test_an_invalid_job_fails_with_the_reasons(bench: Bench, operator: ReconcileContext) -> None:
    """It holds nothing that would have to be cleaned up, so it needs no finalizer; its time to live begins."""
    bench.submit(steps=None, partitions=1, files=[{"name": "f", "configMapKeyRef": {"name": "m", "key": "k"}}])
    bench.step(operator)
    assert status(bench)["phase"] == "FAIL"
    assert "spec.files" in status(bench)["error"]
    assert status(bench)["completionTime"] == bench.now_string()
    assert conditions(bench) == {"Valid": ("False", "Invalid"), "Failed": ("True", "Invalid")}
    assert "finalizers" not in bench.job().document["metadata"]
    assert bench.events()[0][0] == "Invalid"


def test_an_invalid_job_goes_when_its_time_to_live_is_over(bench: Bench, operator: ReconcileContext) -> None:
    """As any finished job."""
    bench.submit(files=[{"name": "f", "configMapKeyRef": {"name": "m", "key": "k"}}], ttlSecondsAfterFinished=60)
    bench.step(operator)
    assert bench.step(operator) == 60
    bench.now += 60
    bench.step(operator)
    assert bench.objects(bench.requests[0].resource) == []


def test_more_problems_than_fit_are_counted(bench: Bench, operator: ReconcileContext) -> None:
    """Those that are shown are whole."""
    env = [{"name": f"KUBEMR_{number}", "value": "x"} for number in range(15)]
    bench.submit(template={"spec": {"containers": [{"name": "worker", "env": env}]}})
    bench.step(operator)
    *shown, more = status(bench)["error"].split("; and ")
    assert len(shown) == 1
    assert shown[0].endswith("jobargs instead")
    assert more == f"{15 - shown[0].count('.name: ')} more"


def test_the_summary_of_problems() -> None:
    """At most ten, at most as long as the field."""
    assert summarize_problems(["a"]) == "a"
    assert summarize_problems(["a", "b"]) == "a; b"
    assert summarize_problems(["x"] * SHOWN_PROBLEMS) == "; ".join(["x"] * SHOWN_PROBLEMS)
    assert summarize_problems(["x"] * (SHOWN_PROBLEMS + 3)).endswith("x; and 3 more")
    long = summarize_problems(["y" * 5000, "z"])
    assert long.endswith("y…; and 1 more")
    assert len(long) <= MAX_ERROR


def test_a_job_without_a_store_fails(bench: Bench) -> None:
    """A job without a place for its objects is refused at once, and not when the workers start."""
    operator = bench.operator()
    assert isinstance(operator.settings, BenchSettings)
    operator.settings.problem = "spec.storage.s3: not set"
    bench.submit()
    bench.step(operator)
    assert (status(bench)["phase"], status(bench)["error"]) == ("FAIL", "spec.storage.s3: not set")


def test_two_operators_accept_at_once(bench: Bench) -> None:
    """One patch succeeds; the other's test fails; there is one Event."""
    one, two = bench.operator("op-a"), bench.operator("op-b")
    job = bench.submit()
    bench.meanwhile(lambda request: request.subresource == "status", lambda: bench.step(two))
    bench.run(reconcile(job.document, one))
    assert status(bench)["phase"] == "PENDING"
    assert len(bench.events()) == 1


def test_a_job_that_changed_in_between_is_reconciled_again(bench: Bench, operator: ReconcileContext) -> None:
    """The finalizers are not what they were: nothing is done, the change itself brings the job back."""
    job = bench.submit()
    bench.set(job.target, "/metadata/finalizers", ["example.com/mine"])
    assert bench.run(reconcile(job.document, operator)).requeue_after is None
    assert status(bench) == {}


def test_a_job_with_a_status_of_another_client(bench: Bench, operator: ReconcileContext) -> None:
    """A status at creation is dropped by the server; one without a phase, set later, is replaced as a whole."""
    job = bench.submit()
    bench.set(job.status, "/status", {"error": "made up", "run": 7})
    bench.step(operator)
    assert status(bench)["run"] == 1
    assert "error" not in status(bench)


def test_an_event_that_cannot_be_written_changes_nothing(bench: Bench, operator: ReconcileContext) -> None:
    """It is for people."""
    bench.submit()
    bench.answer(asks("create", "events"), DENIED)
    bench.step(operator)
    assert status(bench)["phase"] == "PENDING"


def test_a_crash_after_each_request(bench: Bench) -> None:
    """Starting again leads to the same end, whatever had been sent."""
    for requests in range(1, 5):
        name = f"words-{requests}"
        job = bench.submit(name)
        bench.crash_after(reconcile(job.document, bench.operator()), requests)
        bench.step(bench.operator(), name)
        accepted = bench.job(name)
        assert accepted.phase in ("PENDING", "DEPLOYING")
        assert accepted.document["metadata"]["finalizers"] == [FINALIZER]
    assert patches("mapreducejobs")(bench.requests[0])
