"""When the logs of attempts are written, and that no task depends on them."""

from __future__ import annotations

import pytest

from kubemr.coordination.attempt_records import AttemptError
from kubemr.locks import Request
from kubemr.locks.effects import Answer
from kubemr.locks.threads import Stop, StoppedError
from kubemr.worker.scheduling.identity import ExitReason
from support.bench import Bench, patches
from support.planned import PlannedExecutor, PlannedTask, worker_of
from support.simulation.referee import Referee
from support.simulation.store import MemoryStore


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


class NoRoomForLogs(MemoryStore):
    """A store that refuses some keys."""

    def put(self, key: str, data: bytes) -> None:
        """No log fits."""
        if key.endswith("/log.txt"):
            raise OSError("no room")
        super().put(key, data)


class StaleExecutor(PlannedExecutor):
    """An executor that still has an attempt of an abandoned batch."""

    def current_log(self) -> tuple[PlannedTask, bytes]:
        """Return the log of an attempt of another worker."""
        return PlannedTask("map", 0, "1-w9-others", "elsewhere/"), b"of another worker"


def records(bench: Bench) -> dict[str, bytes]:
    """What attempts have left besides outputs: `<stage>/<task>/<attempt>/<name>`."""
    keys = {key: key.split("/", 2)[2] for key in bench.store.objects if key.split("/")[1] == "0"}
    return {name: bench.store.objects[key] for key, name in keys.items() if not name.endswith("/outputs.json")}


def test_attempts_without_output_cost_no_request(bench: Bench) -> None:
    """Whether done or empty."""
    job = bench.deployed(inputs=["a"] * 40, partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.kind = lambda task: "empty"
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert [key for key in bench.store.objects if "/run-1/" not in key] == []


def test_logs_are_there_before_the_attempts_count(bench: Bench) -> None:
    """Of those that succeed and of those that fail; an error stands beside its log, with its times."""
    job = bench.deployed(inputs=["a", "b"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    token = worker.identity.token
    executor.kind = lambda task: "failed" if task.number == 1 and task.attempt.startswith("1-") else "done"
    executor.printed = lambda task: task.attempt.encode()
    counted: list[tuple[int, bool]] = []

    def look(request: Request, answer: Answer) -> Answer:
        if patches("mapreducetaskshards")(request):
            for number, state in bench.shard(job).tasks.items():
                if state.final or state.failures:
                    counted.append((number, f"map/{number}/1-{token}/log.txt" in records(bench)))
        return answer

    bench.after.append(look)
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert {number for number, _ in counted} == {0, 1}
    assert all(there for _, there in counted)
    found = records(bench)
    error = AttemptError.decode(found.pop(f"map/1/1-{token}/error.json"))
    assert error == AttemptError("ValueError: no", token, "began", "ended", job.run)
    attempts = (f"map/0/1-{token}", f"map/1/1-{token}", f"map/1/2-{token}")
    assert found == {f"{each}/log.txt": each.rpartition("/")[2].encode() for each in attempts}


def test_a_log_that_cannot_be_written_fails_nothing(bench: Bench) -> None:
    """The worker logs a warning with the key, and the task is committed anyway."""
    bench.store = NoRoomForLogs(Referee(), lambda: False)
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    warnings: list[tuple[str, dict[str, object]]] = []
    worker.warn = lambda event, **fields: warnings.append((event, fields))
    executor.kind = lambda task: "empty"
    executor.printed = lambda task: b"hello"
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    ((event, fields),) = warnings
    assert event == "record_write_failed"
    assert str(fields["key"]).endswith(f"/0/map/0/1-{worker.identity.token}/log.txt")
    assert fields["error"] == "no room"


def test_the_log_of_a_long_task_is_kept_now_and_then(bench: Bench) -> None:
    """After 15 s, 30 s and so on: few writes however long it runs, and something is left if its worker dies."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 1000.0
    executor.printed = lambda task: f"{bench.now - began:.0f}".encode()
    kept: list[float] = []
    began = bench.now

    def look() -> None:
        for text in records(bench).values():
            if float(text) not in kept:
                kept.append(float(text))

    executor.while_waiting = look
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert kept == [15, 30, 60, 120, 240, 480, 960]


def test_a_quiet_long_task_costs_nothing_either(bench: Bench) -> None:
    """There is nothing to keep."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 1000.0
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert records(bench) == {}


def test_a_worker_that_is_stopped_has_the_log_of_the_interrupted_attempt(bench: Bench) -> None:
    """The worker writes it last: see `kubemr.worker.main`."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 1000.0
    executor.printed = lambda task: b"half"
    stop = Stop()

    def stop_during_the_task() -> None:
        if executor.current is not None:
            stop.set()

    executor.while_waiting = stop_during_the_task
    with pytest.raises(StoppedError):
        bench.run(worker.run(), stop)
    bench.run(worker.release_all())
    assert worker.interrupted_log is not None
    key, text = worker.interrupted_log
    assert key.endswith(f"/0/map/0/1-{worker.identity.token}/log.txt")
    assert text == b"half"


def test_it_has_none_when_nothing_runs(bench: Bench) -> None:
    """It waited."""
    job = bench.deployed(inputs=["a"], partitions=0, replicas=1)
    worker, _ = worker_of(bench, job)
    bench.run(worker.release_all())
    assert worker.interrupted_log is None


def test_only_the_attempt_that_is_held_has_its_log_kept(bench: Bench) -> None:
    """The executor still has one that was reclaimed."""
    job = bench.deployed(inputs=["a", "b"], partitions=0, replicas=1)
    worker, executor = worker_of(bench, job)
    worker.executor = executor = StaleExecutor(bench)
    executor.seconds = lambda task: 40.0
    assert bench.run(worker.run()) is ExitReason.COMPLETE
    assert records(bench) == {}
