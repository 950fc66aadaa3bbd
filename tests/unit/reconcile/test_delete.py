"""A job's children are removed page by page, whatever happens to their list in the meantime."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.objects import delete as removing
from kubemr.controller.reconcile.objects.delete import remove_all
from kubemr.coordination import names
from kubemr.coordination.job_view import TASKS_A_PAGE, JobView
from kubemr.locks.effects import Request
from kubemr.tasks.shard import SHARDS
from support.bench import Bench, asks
from support.largestage import LargeStage


@pytest.fixture
def job(bench: Bench, operator: ReconcileContext, monkeypatch: pytest.MonkeyPatch) -> JobView:
    """Five shards, two to a page."""
    monkeypatch.setattr(removing, "LARGE_SHARDS_A_PAGE", 2)
    return bench.deployed(operator, inputs=["x"] * 150, partitions=0)


def test_all_pages_are_removed(bench: Bench, job: JobView) -> None:
    """Each before the next is asked for."""
    before = len(bench.requests)
    bench.run(remove_all(job, SHARDS))
    assert bench.objects(SHARDS) == []
    verbs = [request.verb for request in bench.requests[before:]]
    assert verbs == ["list", "delete", "delete", "list", "delete", "delete", "list", "delete"]


def test_a_list_that_expires_in_the_middle_is_begun_again(bench: Bench, job: JobView) -> None:
    """Removing takes longer than a snapshot is kept."""

    def second_page(request: Request) -> bool:
        return "continue" in request.query

    bench.meanwhile(second_page, bench.server.compact)
    bench.run(remove_all(job, SHARDS))
    assert bench.objects(SHARDS) == []
    assert sum(request.verb == "delete" for request in bench.requests) == 5


def test_a_later_run_stays(bench: Bench, job: JobView) -> None:
    """On any page."""
    label = names.LABEL_RUN.replace("/", "~1")
    later = [job.shard_name(job.stages[0], number) for number in (0, 3)]
    for number in (0, 3):
        bench.set(bench.shard(job, 0, number).target, f"/metadata/labels/{label}", "2")
    bench.run(remove_all(job, SHARDS, up_to=1))
    assert [item["metadata"]["name"] for item in bench.objects(SHARDS)] == later


def test_what_is_going_already_is_left_alone(bench: Bench, job: JobView) -> None:
    """It waits for another finalizer."""
    target = bench.shard(job).target
    bench.set(target, "/metadata/finalizers", ["example.com/mine"])
    bench.delete(target)
    before = len(bench.requests)
    bench.run(remove_all(job, SHARDS))
    assert sum(asks("delete", SHARDS.plural)(request) for request in bench.requests[before:]) == 4


def test_it_takes_little_memory() -> None:
    """That of a page, however many shards there are."""
    large = LargeStage(100_000, 2)
    _, peak = large.peak(remove_all(large.job, SHARDS, up_to=1))
    assert large.deleted == large.stage.shards
    assert large.largest_page <= TASKS_A_PAGE
    assert peak < 16.0
