"""What coordination reads from a job's document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.coordination.job_view import JobView, shard_size, shards_for, stage_key
from kubemr.locks.effects import Json

STAGES = [
    {"step": 0, "name": "map", "shards": 2, "total": 40},
    {"step": 0, "name": "reduce", "shards": 1, "total": 3},
]


def view(status: Json = None, **spec: Json) -> JobView:
    """A job as a server might show it."""
    document = {"metadata": {"namespace": "n", "name": "words", "uid": "u"}, "spec": spec}
    return JobView.of(document if status is None else {**document, "status": status})


def test_a_new_job_has_the_defaults() -> None:
    """Those of the API."""
    job = view()
    assert (job.phase, job.stage, job.stages, job.run) == ("", "", (), 1)
    assert (job.max_attempts, job.partitions, job.replicas) == (4, 32, 1)
    assert job.current is None
    assert not job.final


def test_a_running_job() -> None:
    """Its stage, what follows it, and where its children are."""
    job = view({"phase": "DEPLOYED", "run": 2, "stage": "map", "stages": STAGES}, replicas=3)
    first, second = job.stages
    assert job.current == first
    assert job.after(first) == second
    assert job.after(second) is None
    assert job.position(second) == 1
    assert (first.label, first.key) == ("0-map", "map")
    assert job.shard_name(second, 0) == f"{job.base}-0-reduce-0"
    assert job.lease_of(7).name == f"{job.base}-w-7"
    assert job.selector(first) == (
        "kubemr.turbobytes.com/job-uid=u,kubemr.turbobytes.com/run=2,kubemr.turbobytes.com/stage=0-map"
    )
    assert job.selector(first, tasks="x=y").endswith(",x=y")
    assert (str(job.target), job.status.subresource) == ("mapreducejobs n/words", "status")


def test_several_steps_are_told_apart() -> None:
    """`1/map` in a job of several steps, `map` in a job of one."""
    job = view({"stages": [*STAGES, {"step": 1, "name": "map", "shards": 1, "total": 1}], "stage": "1/map"})
    assert [stage.key for stage in job.stages] == ["0/map", "0/reduce", "1/map"]
    assert job.current == job.stages[2]
    assert stage_key(1, "map", 1) == "map"


@pytest.mark.parametrize(("phase", "final"), [("COMPLETE", True), ("FAIL", True), ("DEPLOYED", False), ("", False)])
def test_the_final_phases(phase: str, final: bool) -> None:
    """COMPLETE and FAIL."""
    assert view({"phase": phase}).final is final


@pytest.mark.parametrize(
    ("tasks", "replicas", "shards"),
    [
        (0, 1, 0),
        (1, 1, 1),
        (32, 1, 1),
        (33, 1, 2),
        (255, 1, 8),
        (256, 1, 4),
        (512, 1, 4),
        (1023, 1, 8),
        (1024, 1, 4),
        (2047, 1, 8),
        (2048, 1, 4),
        (10_000, 1000, 313),
        (100_000, 10, 196),
        (100_000, 48, 196),
        (100_000, 49, 391),
        (100_000, 97, 391),
        (100_000, 98, 782),
        (100_000, 390, 1563),
        (100_000, 1000, 3125),
        (10_000_000, 97, 19_532),
        (10_000_000, 98, 39_063),
        (10_000_000, 195, 39_063),
        (10_000_000, 781, 156_250),
        (10_000_000, 1563, 312_500),
    ],
)
def test_how_many_shards(tasks: int, replicas: int, shards: int) -> None:
    """From 32 to 512 tasks each: every worker has four shards, and all together do not write too much at once."""
    assert shards_for(tasks, replicas) == shards


@given(st.integers(1, 200_000), st.integers(1, 2000))
def test_the_size_of_shards_follows_from_their_number(tasks: int, replicas: int) -> None:
    """An operator that deploys the job after a crash makes the same shards, even if `replicas` has changed."""
    shards = shards_for(tasks, replicas)
    size = shard_size(tasks, shards)
    assert (shards - 1) * size < tasks <= shards * size
    assert size in (32, 64, 128, 256, 512)
    assert size == 32 or (tasks >= 4 * size * replicas and size * replicas <= 50_000)


def test_the_guard_of_every_status_patch() -> None:
    """This job, this run, this phase, this stage."""
    job = view({"phase": "DEPLOYED", "run": 2, "stage": "map", "stages": STAGES})
    assert [(op["op"], op["path"], op["value"]) for op in job.guard().operations] == [
        ("test", "/metadata/uid", "u"),
        ("test", "/status/run", 2),
        ("test", "/status/phase", "DEPLOYED"),
        ("test", "/status/stage", "map"),
    ]
