"""An idle worker backs up a task that runs far too long, and the first holder to commit wins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import Answer, Request
from kubemr.worker.scheduling.identity import ExitReason
from kubemr.worker.scheduling.loop import Worker
from support.bench import Bench, patches
from support.planned import PlannedExecutor, PlannedTask, worker_of

B, C = "w1-bbbbbb", "w2-cccccc"
SLOW = f"running/1/0/0/{B}"


class Tail:
    """Four tasks, of which another live worker holds number 3; the rest is this worker's."""

    def __init__(self, bench: Bench, state: str = SLOW, **spec: Any) -> None:
        self.bench = bench
        self.job: JobView = bench.deployed(inputs=["a", "b", "c", "d"], partitions=0, replicas=3, **spec)
        bench.write_tasks(self.job, {3: state})
        self.worker: Worker[PlannedTask]
        self.executor: PlannedExecutor
        self.worker, self.executor = worker_of(bench, self.job)
        self.token = self.worker.identity.token
        self.began = bench.now
        self.states: list[tuple[float, str]] = []
        """What task 3 became, and when."""
        self._leases = [bench.hold_lease(self.job, 1, B), bench.hold_lease(self.job, 2, C)]
        self._acts: list[tuple[float, Callable[[], object]]] = []
        bench.on_sleep = self._pass
        self.executor.while_waiting = self._pass
        bench.after.append(self._note)

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        """Call `act` that many seconds after the beginning."""
        self._acts.append((self.began + seconds, act))

    def becomes(self, state: str) -> Callable[[], object]:
        """What another worker writes of task 3."""
        return lambda: self.bench.write_tasks(self.job, {3: state})

    def run(self) -> ExitReason:
        """The worker's life."""
        ending = self.bench.run(self.worker.run())
        self._look()
        return ending

    @property
    def attempts(self) -> list[str]:
        """This worker's attempts at task 3."""
        return [task.attempt for task in self.executor.begun if task.number == 3]

    def _pass(self) -> None:
        for lease in self._leases:
            self.bench.set(lease, "/spec/renewTime", self.bench.micro_timestamp())
        due = [act for moment, act in self._acts if moment <= self.bench.now]
        self._acts = [each for each in self._acts if each[0] > self.bench.now]
        for act in due:
            act()
        self._look()

    def _note(self, request: Request, answer: Answer) -> Answer:
        self._look()
        return answer

    def _look(self) -> None:
        text = str(self.bench.shard(self.job).tasks[3])
        if not self.states or self.states[-1][1] != text:
            self.states.append((self.bench.now - self.began, text))


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


def test_a_straggler_is_joined_and_the_first_commit_wins(bench: Bench) -> None:
    """After five seconds, if tasks are quick; the attempt has another name."""
    tail = Tail(bench)
    assert tail.run() is ExitReason.COMPLETE
    assert [state for _, state in tail.states] == [SLOW, f"{SLOW}+{tail.token}", f"done/1/0/0/{tail.token}"]
    assert 5.0 < tail.states[1][0] < 8.0
    assert tail.attempts == [f"1-{tail.token}"]


def test_a_task_is_overdue_by_the_median_of_the_workers_own_tasks(bench: Bench) -> None:
    """After three times the median: if tasks take ten seconds, one of twenty is not a straggler."""
    tail = Tail(bench)
    tail.executor.seconds = lambda task: 10.0
    assert tail.run() is ExitReason.COMPLETE
    ready = 3 * 10.0
    assert ready + 30.0 < tail.states[1][0] < ready + 36.0


@pytest.mark.parametrize(
    ("state", "spec"),
    [
        (f"running/2/0/1/{B}", {}),
        (SLOW, {"maxAttempts": 1}),
        (f"running/1/0/0/{B}+{C}", {}),
    ],
    ids=["suspect", "one attempt", "has a backup"],
)
def test_tasks_without_backup(bench: Bench, state: str, spec: dict[str, Any]) -> None:
    """A task with a loss, one that may be tried once only, one that has a backup."""
    tail = Tail(bench, state, **spec)
    tail.at(60.0, tail.becomes(f"empty/{'2/0/1' if '/2/' in state else '1/0/0'}/{B}"))
    assert tail.run() is ExitReason.COMPLETE
    assert tail.attempts == []


def test_no_backups_before_the_tail(bench: Bench) -> None:
    """Half of the tasks must be through, or how long a task takes is not known."""
    tail = Tail(bench)
    bench.write_tasks(tail.job, {1: SLOW, 2: SLOW})
    tail.at(60.0, lambda: bench.write_tasks(tail.job, {number: f"empty/1/0/0/{B}" for number in (1, 2, 3)}))
    assert tail.run() is ExitReason.COMPLETE
    assert [task.number for task in tail.executor.begun] == [0]


def test_a_worker_without_durations_helps_too(bench: Bench) -> None:
    """The holder ran all other tasks, because they are quick: after half a minute, three times the least time."""
    tail = Tail(bench)
    bench.write_tasks(tail.job, {number: f"empty/1/0/0/{B}" for number in (0, 1, 2)})
    assert tail.run() is ExitReason.COMPLETE
    assert 30.0 < tail.states[1][0] < 34.0
    assert tail.attempts == [f"1-{tail.token}"]


def test_a_worker_without_durations_uses_the_time_until_half_were_finished(bench: Bench) -> None:
    """It waits for three times that time, during which it was idle."""
    tail = Tail(bench)
    bench.write_tasks(tail.job, {0: f"empty/1/0/0/{C}", **{number: f"running/1/0/0/{C}" for number in (1, 2)}})
    tail.at(40.0, lambda: bench.write_tasks(tail.job, {number: f"empty/1/0/0/{C}" for number in (1, 2)}))
    assert tail.run() is ExitReason.COMPLETE
    assert 3 * 40.0 < tail.states[1][0] < 3 * 40.0 + 14.0


def test_a_string_that_changed_is_another_attempt(bench: Bench) -> None:
    """Its time begins when it is first seen."""
    tail = Tail(bench)
    tail.at(4.0, tail.becomes(f"running/2/1/0/{C}"))
    assert tail.run() is ExitReason.COMPLETE
    joined = next(when for when, state in tail.states if "+" in state)
    assert 9.0 < joined < 14.0


def test_the_race_for_it_is_lost(bench: Bench) -> None:
    """Another idle worker was first: this worker runs nothing, and no loss is counted."""
    tail = Tail(bench)
    bench.meanwhile(lambda request: "+" in str(request.body), tail.becomes(f"{SLOW}+{C}"))
    tail.at(60.0, tail.becomes(f"empty/1/0/0/{C}"))
    assert tail.run() is ExitReason.COMPLETE
    assert tail.attempts == []
    assert bench.shard(tail.job).tasks[3].losses == 0


def test_a_join_whose_answer_is_lost_is_adopted(bench: Bench) -> None:
    """The worker finds its token in the shard."""
    tail = Tail(bench)
    bench.lose(lambda request: "+" in str(request.body))
    assert tail.run() is ExitReason.COMPLETE
    assert tail.attempts == [f"1-{tail.token}"]


def test_the_holder_dies_between_the_join_and_its_answer(bench: Bench) -> None:
    """The join shows in another string than the one that was written."""
    tail = Tail(bench)
    bench.lose(lambda request: "+" in str(request.body))
    bench.after.append(_afterwards(lambda: "+" in tail.states[-1][1], tail.becomes(f"running/1/0/1/{tail.token}")))
    assert tail.run() is ExitReason.COMPLETE
    assert tail.attempts == [f"1-{tail.token}"]
    assert tail.states[-1][1] == f"done/1/0/1/{tail.token}"


def test_the_holder_commits_first(bench: Bench) -> None:
    """The backup is stopped, because it cannot count any more."""
    tail = Tail(bench)
    tail.executor.seconds = lambda task: 3600.0 if task.number == 3 else 0.01
    tail.at(20.0, tail.becomes(f"empty/1/0/0/{B}"))
    assert tail.run() is ExitReason.COMPLETE
    assert [task.attempt for task in tail.executor.cancelled] == [f"1-{tail.token}"]
    assert bench.now - tail.began < 30.0
    assert tail.states[-1][1] == f"empty/1/0/0/{B}"


def test_the_holder_leaves_while_the_backup_runs(bench: Bench) -> None:
    """The commit's test fails, but the worker still holds the task: it commits again."""
    tail = Tail(bench)
    tail.executor.seconds = lambda task: 1.5 if task.number == 3 else 0.01
    bench.meanwhile(
        lambda request: f"done/1/0/0/{tail.token}" in str(request.body) and "+" in str(request.body),
        tail.becomes(f"running/1/0/1/{tail.token}"),
    )
    assert tail.run() is ExitReason.COMPLETE
    assert tail.attempts == [f"1-{tail.token}"]
    assert tail.states[-1][1] == f"done/1/0/1/{tail.token}"


def test_a_backup_joins_while_one_commits(bench: Bench) -> None:
    """The same from the holder's side."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=2)
    worker, executor = worker_of(bench, job)
    own_state = f"running/1/0/0/{worker.identity.token}"
    bench.meanwhile(
        lambda request: patches("mapreducetaskshards")(request) and "done/" in str(request.body),
        lambda: bench.write_tasks(job, {0: f"{own_state}+{B}"}),
    )
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert len(executor.begun) == 1
    assert str(bench.shard(job).tasks[0]) == f"done/1/0/0/{worker.identity.token}"


def test_a_failed_backup_leaves_the_holder_alone_with_it(bench: Bench) -> None:
    """The worker does not try again in this epoch: its attempt would have the same name."""
    tail = Tail(bench)
    tail.executor.kind = lambda task: "failed" if task.number == 3 else "done"
    tail.at(60.0, tail.becomes(f"empty/1/1/0/{B}"))
    assert tail.run() is ExitReason.COMPLETE
    assert tail.attempts == [f"1-{tail.token}"]
    states = [state for _, state in tail.states]
    assert states == [SLOW, f"{SLOW}+{tail.token}", f"running/1/1/0/{B}", f"empty/1/1/0/{B}"]


def test_a_holder_that_failed_does_not_join_its_backup(bench: Bench) -> None:
    """The holder fails, its backup continues alone, and the former holder is idle."""
    tail = Tail(bench)
    own_state = f"running/1/0/0/{tail.token}"
    bench.write_tasks(
        tail.job, {0: f"{own_state}+{B}", 1: "pending/1/0/0/", 2: "pending/1/0/0/", 3: f"empty/1/0/0/{C}"}
    )
    tail.executor.kind = lambda task: "failed" if task.number == 0 else "done"
    tail.at(60.0, lambda: bench.write_tasks(tail.job, {0: f"empty/1/1/0/{B}"}))
    assert tail.run() is ExitReason.COMPLETE
    assert [task.attempt for task in tail.executor.begun if task.number == 0] == [f"1-{tail.token}"]


def _afterwards(condition: Callable[[], bool], act: Callable[[], object]) -> Callable[[Request, Answer], Answer]:
    """Act once, after the first exchange at whose end `condition` holds."""
    left = [act]

    def hook(request: Request, answer: Answer) -> Answer:
        if left and condition():
            left.pop()()
        return answer

    return hook
