"""The process that reclaims tasks from a dead holder records the lost attempts."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.storage.job_store import KEYS
from kubemr.coordination.attempt_history import attempts, history
from kubemr.coordination.attempt_records import AttemptError
from kubemr.coordination.kinds import SECRETS
from kubemr.coordination.lost_attempts import MESSAGE
from kubemr.locks.conditional import Target
from kubemr.worker.scheduling.identity import ExitReason
from support.bench import Bench
from support.planned import worker_of
from support.simulation.referee import Referee
from support.simulation.store import MemoryStore

A, B, C = "w1-aaaaaa", "w0-bbbbbb", "w1-cccccc"


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


def test_a_worker_tells_of_those_that_it_takes_away(bench: Bench) -> None:
    """Of the dead holder's attempt only, by its epoch; and since when it had seen it run."""
    job = bench.deployed(inputs=["a", "b"], partitions=0, replicas=1)
    bench.write_tasks(job, {1: f"running/3/1/0/{A}"})
    worker, executor = worker_of(bench, job)
    executor.kind = lambda piece: "empty"
    executor.seconds = lambda piece: 30.0 if piece.number == 0 else 0.01
    began = bench.now_string()
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    (found,) = attempts(bench.store, job.storage_prefix)
    assert str(found) == f"map/1/3-{A}"
    shown = history(bench.store, found)
    assert (shown.outcome, shown.message, shown.start, shown.log) == ("lost", MESSAGE, began, None)
    assert shown.end == bench.now_string() == "2026-01-01T00:17:10Z"
    assert AttemptError.decode(bench.store.objects[f"{found.prefix}lost.json"]).run == job.run


def test_one_that_it_had_not_seen_before(bench: Bench) -> None:
    """It is in a shard of others: when it is found dead at the first look nothing is known of its beginning."""
    job = bench.deployed(inputs=[str(number) for number in range(33)], partitions=0, replicas=2)
    bench.write_tasks(job, {32: f"running/1/0/0/{A}"}, 0, 1)
    worker, _ = worker_of(bench, job)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    (found,) = (each for each in attempts(bench.store, job.storage_prefix) if each.worker == A)
    assert (history(bench.store, found).outcome, history(bench.store, found).start) == ("lost", "")


def test_the_operator_tells_too(bench: Bench) -> None:
    """It takes tasks away where no worker is idle."""
    operator = bench.operator()
    job = bench.deployed(operator)
    bench.hold_lease(job, 0, B)
    bench.write_tasks(job, {0: f"running/1/0/0/{A}", 1: f"running/1/0/0/{B}"})
    bench.step(operator)
    (found,) = attempts(bench.store, job.storage_prefix)
    assert str(found) == f"map/0/1-{A}"
    assert (history(bench.store, found).start, history(bench.store, found).end) == ("", bench.now_string())


def test_of_two_holders_the_dead_one(bench: Bench) -> None:
    """The other goes on."""
    operator = bench.operator()
    job = bench.deployed(operator)
    bench.hold_lease(job, 0, B)
    bench.write_tasks(job, {0: f"running/1/0/0/{B}+{C}"})
    bench.step(operator)
    assert str(bench.shard(job).tasks[0]) == f"running/1/0/1/{B}"
    assert [str(each) for each in attempts(bench.store, job.storage_prefix)] == [f"map/0/1-{C}"]


def test_an_operator_that_has_no_keys_to_the_store(bench: Bench) -> None:
    """The Secret that the job names has been removed: the task is taken away all the same."""
    operator = bench.operator()
    bench.create(SECRETS, {"metadata": {"name": "keys"}, "data": dict.fromkeys(KEYS.values(), "eA==")})
    job = bench.deployed(operator, storage={"s3": {"bucket": "mine", "secretRef": {"name": "keys"}}})
    bench.delete(Target(SECRETS, job.namespace, "keys"))
    bench.write_tasks(job, {0: f"running/1/0/0/{A}"})
    bench.step(operator)
    assert str(bench.shard(job).tasks[0]) == "pending/2/0/1/"
    assert list(attempts(bench.store, job.storage_prefix)) == []


def test_that_it_cannot_be_told_changes_nothing(bench: Bench) -> None:
    """The store cannot be reached: the tasks are reclaimed anyway, and only one write is tried."""
    writes: list[None] = []

    def away() -> bool:
        writes.append(None)
        return True

    operator = bench.operator()
    job = bench.deployed(operator, inputs=[str(number) for number in range(40)])
    bench.write_tasks(job, {0: f"running/1/0/0/{A}", 1: f"running/1/0/0/{A}"})
    bench.write_tasks(job, {35: f"running/1/0/0/{A}"}, 0, 1)
    bench.store = MemoryStore(Referee(), away)
    bench.step(operator)
    states = {**bench.shard(job).tasks, **bench.shard(job, 0, 1).tasks}
    assert [str(states[number]) for number in (0, 1, 35)] == ["pending/2/0/1/"] * 3
    assert len(writes) == 1
    assert bench.store.objects == {}
