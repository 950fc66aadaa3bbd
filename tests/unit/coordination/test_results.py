"""The results of a job: read in slices by several readers, and few of them kept."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

import pytest
from attr import define, evolve

from kubemr.coordination import names, results
from kubemr.coordination.advance import Dependencies, finish
from kubemr.coordination.job_view import JobView
from kubemr.coordination.outputs import Index, encode_outputs
from kubemr.coordination.results import SLICE, CollectedResults, collect_results
from kubemr.locks.effects import Do, Op
from kubemr.worker.watchdog import Watchdog
from support.bench import Bench
from support.simulation.referee import Referee
from support.simulation.store import MemoryStore, StoreFailed

T = TypeVar("T")
A = "w0-aaaaaa"


@define
class ResultStore(MemoryStore):
    """Every attempt has an output, its own key; `reading` is called before each answer."""

    reading: Callable[[], object] = lambda: None

    def get(self, key: str) -> bytes:
        """One."""
        self._may_fail("get", key)
        self.reading()
        return encode_outputs({0: key})


@pytest.fixture
def job(bench: Bench) -> JobView:
    """A map-only job."""
    return bench.deployed(partitions=0)


def store_of(reading: Callable[[], object] = lambda: None) -> ResultStore:
    """A store that works."""
    return ResultStore(Referee(), lambda: False, reading=reading)


def attempts(count: int) -> list[str]:
    """So many, and every third task has no output."""
    return ["" if number % 3 == 2 else f"1-{A}" for number in range(count + count // 2)]


def keys(job: JobView, count: int) -> list[str]:
    """What is to be found."""
    prefixes = (names.attempt_prefix(job.storage_prefix, 0, "map", number, f"1-{A}") for number in range(2 * count))
    return [f"{prefix}outputs.json" for number, prefix in enumerate(prefixes) if number % 3 != 2][:count]


def counted(op: Op[T], counts: list[str]) -> Op[T]:
    """The same operation; notes what it does to the store."""
    answer = None
    try:
        while True:
            effect = op.send(answer)
            if isinstance(effect, Do):
                counts.append(effect.what)
            answer = yield effect
    except StopIteration as end:
        found: T = end.value
        return found


def test_all_in_order(bench: Bench, job: JobView) -> None:
    """Whichever reader is the first; a slice is one effect."""
    count = 2 * SLICE + 1
    seen: list[str] = []
    found = bench.run(counted(collect_results(job, job.stages[0], attempts(count), store_of(), 8), seen))
    assert found is not None
    assert json.loads(b"".join(found.manifest())) == keys(job, count)
    assert seen == ["read results"] * 3


def test_several_are_read_at_the_same_time(bench: Bench, job: JobView) -> None:
    """Each read waits for seven others."""
    barrier = threading.Barrier(8)
    found = bench.run(collect_results(job, job.stages[0], attempts(16), store_of(lambda: barrier.wait(60)), 8))
    assert found is not None
    assert found.first == keys(job, 16)


def test_a_worker_that_reads_very_many_does_not_look_stuck(bench: Bench, job: JobView) -> None:
    """In all it takes ten minutes."""
    monitor = Watchdog(lambda: bench.now)
    alive: list[bool] = []

    def reading() -> None:
        bench.now += 0.1
        alive.append(monitor.alive())

    dependencies = Dependencies(store_of(reading), bench.now_string, readers=1)
    assert bench.run(monitor.watch(finish(job, job.stages[0], Index(attempts(6000)), dependencies)))
    assert bench.job().document["status"]["resultCount"] == 6000
    assert all(alive)


@pytest.mark.parametrize("readers", [1, 8])
def test_a_slow_store_makes_an_effect_no_longer(
    bench: Bench, job: JobView, monkeypatch: pytest.MonkeyPatch, readers: int
) -> None:
    """When time is up it ends with what it has, and the next goes on there."""
    monkeypatch.setattr(results, "SLICE_SECONDS", 0.0)
    seen: list[str] = []
    found = bench.run(counted(collect_results(job, job.stages[0], attempts(10), store_of(), readers), seen))
    assert found is not None
    assert found.first == keys(job, 10)
    assert seen == ["read results"] * 10


def over(bench: Bench, job: JobView) -> None:
    """Another process has finished the job."""
    bench.set(job.status, "/status/phase", "COMPLETE")


def deleted(bench: Bench, job: JobView) -> None:
    """The job is being deleted."""
    bench.delete(job.target)


def gone(bench: Bench, job: JobView) -> None:
    """It was deleted."""
    bench.patch(job.target, {"op": "remove", "path": "/metadata/finalizers"})
    bench.delete(job.target)


@pytest.mark.parametrize("happens", [over, deleted, gone])
def test_who_reads_for_nothing_stops(bench: Bench, job: JobView, happens: Callable[[Bench, JobView], None]) -> None:
    """It is looked for between slices, now and then; nothing is written."""
    read: list[float] = []

    def reading() -> None:
        read.append(bench.now)
        bench.now += 0.1
        if len(read) == 10:
            happens(bench, job)

    store = store_of(reading)
    assert bench.run(
        finish(job, job.stages[0], Index(attempts(6000)), Dependencies(store, bench.now_string, readers=1))
    )
    assert len(read) == SLICE
    assert store.objects == {}


def test_the_job_is_not_asked_for_after_each_slice(bench: Bench, job: JobView) -> None:
    """A thousand may be reading."""
    before = len(bench.requests)
    bench.run(collect_results(job, job.stages[0], attempts(6000), store_of(), 8))
    assert len(bench.requests) == before


def test_one_that_is_missing_is_an_error(bench: Bench, job: JobView) -> None:
    """Never taken for no result."""
    store = store_of()
    with pytest.raises(StoreFailed):
        bench.run(collect_results(job, job.stages[0], attempts(20), evolve(store, fails=lambda: True), 8))


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ([], 0),
        (["x"] * 256, 256),
        (["x"] * 257, 256),
        (["x" * 1024], 1),
        (["x" * 1025], 0),
        (["ä" * 512], 1),
        (["ä" * 513], 0),
        (["x" * 1024] * 64, 64),
        (["x" * 1024] * 65, 64),
        (["x", "x" * 1025, "x"], 1),
        (["ä\n" * 5000, '"', "x" * 200_000], 0),
    ],
)
def test_what_fits_on_the_object(given: list[str], fits: int) -> None:
    """256 results, 1,024 bytes each, 64 KiB together; the manifest has all."""
    found = CollectedResults()
    for result in given:
        found.add([result])
    assert (found.first, found.count, found.fit) == (given[:fits], len(given), fits == len(given))
    assert b"".join(found.manifest()) == json.dumps(given, ensure_ascii=False).encode()


def test_little_is_kept() -> None:
    """Of results that are addresses a fraction, also while they are written."""
    found = CollectedResults()
    tracemalloc.start()
    try:
        for number in range(100_000):
            found.add([f"s3://bucket/prefix/job-0123456789/0/map/{number}/1-w{number % 7}-abc123/part.txt"])
        size = sum(len(piece) for piece in found.manifest())
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()
