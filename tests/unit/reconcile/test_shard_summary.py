"""What the operator keeps of a shard says what the shard says, and nothing is left of the rest."""

from __future__ import annotations

from kubemr.controller.informer.object_keys import key_of
from kubemr.controller.reconcile.objects import builders
from kubemr.controller.reconcile.shards.summary import of_stage, summarize, summarized, summary_of, total_counts
from kubemr.coordination.names import LABEL_UID
from support.bench import Bench


def test_a_summary_counts_states_and_names_holders(bench: Bench) -> None:
    """`done` for people is what is committed, with output or without."""
    job = bench.deployed(inputs=list("abcdefg"))
    states = {
        0: "done/1/0/0/w0-aaaaaa",
        1: "empty/1/0/0/w0-aaaaaa",
        2: "running/1/0/0/w1-bbbbbb+w2-cccccc",
        3: "failed/4/4/0/",
    }
    shard = bench.write_tasks(job, states)
    found = summary_of(bench.get(shard.target))
    assert total_counts([found]) == {"pending": 3, "running": 1, "done": 2, "failed": 1}
    assert found.holders == {"w1-bbbbbb", "w2-cccccc"} == shard.holders
    assert (found.failed, found.committed) == (True, False)
    assert (found.name, found.run) == (shard.name, 1)
    reduce = summary_of(bench.get(bench.shard(job, 1).target))
    assert of_stage(job, job.stages[1], [found, reduce]) == [reduce]


def test_one_entry_counts_for_all_tasks_that_it_tells_of(bench: Bench) -> None:
    """The operator deploys a shard with one."""
    job = bench.deployed(inputs=list("abcdefg"), replicas=1)
    document = bench.get(bench.shard(job).target)
    assert document["tasks"] == {"0-6": "pending/1/0/0/"}
    assert total_counts([summary_of(document)]) == {"pending": 7, "running": 0, "done": 0, "failed": 0}
    running = summary_of({**document, "tasks": {"0-6": "running/1/0/0/w1-bbbbbb"}})
    assert total_counts([running]) == {"pending": 0, "running": 7, "done": 0, "failed": 0}
    assert running.holders == {"w1-bbbbbb"}


def test_committed_is_said_of_what_is_all_committed(bench: Bench) -> None:
    """With output or without."""
    job = bench.deployed(inputs=list("ab"))
    shard = bench.write_tasks(job, {0: "done/1/0/0/w0-aaaaaa", 1: "empty/1/0/0/w0-aaaaaa"})
    assert summary_of(bench.get(shard.target)).committed


def test_a_condensed_object_is_one_that_a_store_can_hold(bench: Bench) -> None:
    """Its key, its version and the label that it is found by stay; tasks, owners and managedFields do not."""
    job = bench.deployed()
    document = next(iter(builders.shards(job, job.stages[0], open_=True)))
    document["metadata"] |= {"uid": "u", "resourceVersion": "7", "managedFields": [{"manager": "kubemr"}]}
    found = summarize(document)
    assert key_of(found) == key_of(document)
    assert set(found["metadata"]) == {"namespace", "name", "uid", "resourceVersion", "labels"}
    assert found["metadata"]["labels"] == {LABEL_UID: job.uid}
    assert "tasks" not in found
    assert summarized(found) == summary_of(document)


def test_what_is_the_same_of_all_shards_is_kept_once(bench: Bench) -> None:
    """There may be 31,250 of a job."""
    job = bench.deployed(inputs=["x"] * 70)
    one, other = (summarize(bench.get(bench.shard(job, 0, number).target)) for number in range(2))
    assert one["metadata"]["labels"] is other["metadata"]["labels"]
    assert one["metadata"]["namespace"] is other["metadata"]["namespace"]
    assert summarized(one).stage is summarized(other).stage
