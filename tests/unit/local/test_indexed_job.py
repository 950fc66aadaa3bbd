"""Which pods an Indexed Job needs, and when it is over."""

from __future__ import annotations

from kubemr.local.node.indexed import LAST_BACKOFF, IndexedJob


def job(completions: int, backoff_limit: int = 6) -> IndexedJob:
    spec = {"completions": completions, "parallelism": completions, "backoffLimit": backoff_limit}
    return IndexedJob({"spec": spec})


def test_every_index_gets_one_pod() -> None:
    """All at once, and none twice."""
    it = job(3)
    assert it.ready(0.0) == [0, 1, 2]
    for index in range(3):
        it.started(index, f"pod-{index}")
    assert it.ready(1e9) == []
    assert it.next_due() is None


def test_parallelism_bounds_what_runs() -> None:
    """No more pods than `parallelism`, also when more indexes are without one."""
    it = job(3)
    it.document["spec"]["parallelism"] = 2
    assert it.ready(0.0) == [0, 1]
    it.started(0, "a")
    it.started(1, "b")
    assert it.ready(0.0) == []
    it.ended(0, True, 0.0)
    assert it.ready(0.0) == [2]


def test_complete_when_every_index_has_succeeded() -> None:
    """Success of an index is final."""
    it = job(2)
    for index in range(2):
        assert not it.complete
        it.started(index, "pod")
        it.ended(index, True, 0.0)
    assert it.complete
    assert it.ready(1e9) == []


def test_a_failed_index_is_tried_again_after_a_growing_pause() -> None:
    """The pause doubles up to its bound; other indexes do not wait."""
    it, now, pauses = job(2, backoff_limit=100), 0.0, []
    it.started(1, "other")
    for _ in range(8):
        it.started(0, "pod")
        it.ended(0, False, now)
        due = it.next_due()
        assert due is not None
        assert it.ready(due - 0.001) == []
        assert it.ready(due) == [0]
        pauses.append(due - now)
        now = due
    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_BACKOFF
    assert pauses[0] < 0.1


def test_more_failures_than_the_limit_exhaust_it() -> None:
    """`backoffLimit` failures are put up with, of all indexes together; one more is the end."""
    it = job(2, backoff_limit=1)
    for index in range(2):
        assert not it.exhausted
        it.started(index, "pod")
        it.ended(index, False, 0.0)
    assert it.exhausted
    assert it.ready(1e9) == []


def test_a_pod_that_somebody_deleted_is_replaced_and_not_counted() -> None:
    """As with a drained node."""
    it = job(1, backoff_limit=0)
    it.started(0, "pod")
    it.ended(0, False, 5.0, disrupted=True)
    assert it.failed == 0
    assert it.ready(6.0) == [0]


def test_a_deleted_job_needs_no_pods() -> None:
    """Whatever is due."""
    it = job(1)
    it.deleted = True
    assert it.ready(1e9) == []
