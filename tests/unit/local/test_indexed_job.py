"""Which pods an Indexed Job needs, and when it is over."""

from __future__ import annotations

from kubemr.local.node.indexed_job import LAST_POD_BACKOFF, IndexedJob


def job(completions: int, backoff_limit: int = 6) -> IndexedJob:
    spec = {"completions": completions, "parallelism": completions, "backoffLimit": backoff_limit}
    return IndexedJob({"spec": spec})


def test_every_index_gets_one_pod() -> None:
    """All pods are created at once, and none twice."""
    it = job(3)
    assert it.ready(0.0) == [0, 1, 2]
    for index in range(3):
        it.pod_started(index, f"pod-{index}")
    assert it.ready(1e9) == []
    assert it.next_due() is None


def test_parallelism_bounds_what_runs() -> None:
    """There are at most `parallelism` pods, even if more indexes need one."""
    it = job(3)
    it.document["spec"]["parallelism"] = 2
    assert it.ready(0.0) == [0, 1]
    it.pod_started(0, "a")
    it.pod_started(1, "b")
    assert it.ready(0.0) == []
    it.pod_ended(0, True, 0.0)
    assert it.ready(0.0) == [2]


def test_complete_when_every_index_has_succeeded() -> None:
    """Success of an index is final."""
    it = job(2)
    for index in range(2):
        assert not it.complete
        it.pod_started(index, "pod")
        it.pod_ended(index, True, 0.0)
    assert it.complete
    assert it.ready(1e9) == []


def test_a_failed_index_is_tried_again_after_a_growing_pause() -> None:
    """The pause doubles up to its bound; other indexes do not wait."""
    it, now, pauses = job(2, backoff_limit=100), 0.0, []
    it.pod_started(1, "other")
    for _ in range(8):
        it.pod_started(0, "pod")
        it.pod_ended(0, False, now)
        due = it.next_due()
        assert due is not None
        assert it.ready(due - 0.001) == []
        assert it.ready(due) == [0]
        pauses.append(due - now)
        now = due
    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_POD_BACKOFF
    assert pauses[0] < 0.1


def test_more_failures_than_the_limit_exhaust_it() -> None:
    """`backoffLimit` failures of all indexes together are tolerated; one more ends the Job."""
    it = job(2, backoff_limit=1)
    for index in range(2):
        assert not it.exhausted
        it.pod_started(index, "pod")
        it.pod_ended(index, False, 0.0)
    assert it.exhausted
    assert it.ready(1e9) == []


def test_a_pod_that_somebody_deleted_is_replaced_and_not_counted() -> None:
    """So it is after the drain of a node."""
    it = job(1, backoff_limit=0)
    it.pod_started(0, "pod")
    it.pod_ended(0, False, 5.0, disrupted=True)
    assert it.failed == 0
    assert it.ready(6.0) == [0]


def test_a_deleted_job_needs_no_pods() -> None:
    """No index gets a pod, even if it is due."""
    it = job(1)
    it.deleted = True
    assert it.ready(1e9) == []


def changed(it: IndexedJob, now: float = 0.0, **spec: object) -> None:
    it.update({"spec": {**it.document["spec"], **spec}}, now)


def test_a_suspended_job_has_no_pods_and_a_resumed_one_goes_on() -> None:
    """Succeeded indexes stay succeeded; nothing counts as a failure."""
    it = job(3)
    for index in range(3):
        it.pod_started(index, "pod")
    it.pod_ended(0, True, 0.0)
    changed(it, suspend=True)
    assert it.surplus == [1, 2]
    for index in (1, 2):
        it.pod_ended(index, False, 1.0, disrupted=True)
    assert it.ready(1e9) == []
    assert it.next_due() is None, "nothing to look for until it is resumed"
    changed(it, suspend=False)
    assert it.ready(1e9) == [1, 2]
    assert it.failed == 0


def test_one_that_is_resumed_before_its_pods_have_ended() -> None:
    """An index has one pod at a time."""
    it = job(1)
    it.pod_started(0, "pod")
    changed(it, suspend=True)
    changed(it, suspend=False)
    assert it.ready(1e9) == []
    it.pod_ended(0, False, 1.0, disrupted=True)
    assert it.ready(1e9) == [0]


def test_more_indexes_get_pods_and_fewer_lose_theirs() -> None:
    """The highest indexes lose their pods, whose outcome does not count."""
    it = job(2)
    for index in range(2):
        it.pod_started(index, "pod")
    changed(it, 5.0, completions=4, parallelism=4)
    assert it.ready(5.0) == [2, 3]
    for index in (2, 3):
        it.pod_started(index, "pod")
    changed(it, completions=1, parallelism=1)
    assert it.surplus == [1, 2, 3]
    for index, succeeded in ((1, True), (2, False), (3, False)):
        it.pod_ended(index, succeeded, 6.0, disrupted=not succeeded)
    assert it.ready(1e9) == []
    assert (it.succeeded, it.failed) == (set(), 0)
    it.pod_ended(0, True, 7.0)
    assert it.complete


def test_fewer_indexes_may_be_all_that_have_succeeded() -> None:
    """Then the Job is complete; higher indexes that had succeeded are forgotten."""
    it = job(3)
    for index in (0, 2):
        it.pod_started(index, "pod")
        it.pod_ended(index, True, 0.0)
    changed(it, completions=1, parallelism=1)
    assert it.complete
    changed(it, completions=3, parallelism=3)
    assert it.ready(1e9) == [1, 2]


def test_a_pause_after_a_failure_is_not_cut_short_by_a_change() -> None:
    """The back-off goes on."""
    it = job(1)
    it.pod_started(0, "pod")
    it.pod_ended(0, False, 1.0)
    due = it.next_due()
    changed(it, 1.0, completions=2, parallelism=2)
    assert it.due == {0: due, 1: 1.0}
