"""The accessors read documents any part of which may be absent."""

from __future__ import annotations

from kubemr.resources import status

RUNNING = {
    "metadata": {"uid": "u"},
    "spec": {"replicas": 3},
    "status": {
        "phase": "DEPLOYED",
        "run": 2,
        "stage": "map",
        "stages": [{"step": 0, "name": "map"}],
        "results": ["a"],
        "error": "e",
        "conditions": [{"type": "Valid", "status": "True"}, {"type": "Failed", "status": "False"}],
    },
}


def test_of_a_running_job() -> None:
    """What is there is returned."""
    assert status.spec(RUNNING) == {"replicas": 3}
    assert (status.phase(RUNNING), status.run(RUNNING), status.stage(RUNNING)) == ("DEPLOYED", 2, "map")
    assert [one["name"] for one in status.stages(RUNNING)] == ["map"]
    assert (status.results(RUNNING), status.error(RUNNING), status.uid(RUNNING)) == (["a"], "e", "u")
    assert status.is_true(RUNNING, "Valid")
    assert not status.is_true(RUNNING, "Failed")
    assert status.condition(RUNNING, "Complete") is None
    assert not status.is_final(RUNNING)


def test_of_a_new_job() -> None:
    """What is absent is empty, and the run is the first."""
    for job in ({}, {"status": None, "spec": None}):
        assert (status.phase(job), status.run(job), status.stage(job), status.error(job)) == ("", 1, "", "")
        assert (status.spec(job), list(status.stages(job)), status.results(job)) == ({}, [], [])
        assert not status.is_true(job, "Valid")


def test_final_phases() -> None:
    """COMPLETE and FAIL end a job."""
    assert all(status.is_final({"status": {"phase": phase}}) for phase in ("COMPLETE", "FAIL"))
