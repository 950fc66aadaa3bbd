"""How a worker process ends if the apiserver or storage is down: in time, and with its tasks released."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubemr.coordination.advance import Dependencies
from kubemr.coordination.job_view import JobView
from kubemr.local.apiserver.http import HttpServer
from kubemr.locks import Answer, HttpTransport, Request, Server
from kubemr.locks.effects import Watch, WatchEvent
from kubemr.locks.threads import Stop, StoppedError
from kubemr.logs import Log
from kubemr.storage import StorageError
from kubemr.worker import main as process
from kubemr.worker.main import EXIT_SETTINGS, run_worker
from kubemr.worker.scheduling.identity import ExitReason
from support.bench import Bench
from support.planned import PlannedExecutor, worker_of


@pytest.fixture
def bench() -> Bench:
    """An apiserver whose core the test may touch as long as it is not served."""
    return Bench()


@pytest.fixture
def job(bench: Bench) -> JobView:
    """A deployed job of three map tasks."""
    return bench.deployed(inputs=list("abc"), partitions=0, replicas=1)


class Served:
    """The bench's core on a real socket."""

    def __init__(self, bench: Bench) -> None:
        self.server = HttpServer(bench.server, "t")
        self.server.start()
        self.transport = HttpTransport(Server(self.server.url, token="t", connect_timeout=0.5, read_timeout=0.5))

    def stop(self) -> None:
        """Stop the apiserver, so that the test may use its core again."""
        self.server.stop()


@pytest.fixture
def served(bench: Bench, job: JobView) -> Iterator[Served]:
    """From here on over HTTP."""
    served = Served(bench)
    yield served
    served.stop()
    served.transport.close()


class FailingStore:
    """A store that is down."""

    def put(self, key: str, data: bytes) -> None:
        """Raise an error."""
        raise StorageError("put", "the store", key, "it does not answer")


def test_a_worker_whose_storage_fails_releases_its_tasks(bench: Bench, job: JobView, served: Served) -> None:
    """It does so immediately and without a loss, because no worker has died."""
    worker, executor = worker_of(bench, job)
    executor.kind = lambda task: "failed"
    worker.dependencies = Dependencies(FailingStore(), bench.now_string)  # type: ignore[arg-type]  # only `put` is asked
    with pytest.raises(StorageError):
        process._run_with_lease(worker, served.transport, Stop(), Log())  # type: ignore[arg-type]  # another executor
    served.stop()
    assert [str(state) for state in bench.shard(job).tasks.values()] == [
        "pending/2/0/0/",
        "pending/1/0/0/",
        "pending/1/0/0/",
    ]
    assert "holderIdentity" not in bench.get(job.lease_of(0))["spec"]


def test_a_worker_ends_on_sigterm_while_the_apiserver_is_down(
    bench: Bench, job: JobView, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tries to release its tasks and its Lease for some seconds; then the Lease expires by itself."""
    monkeypatch.setattr(process, "RELEASE_TASKS_SECONDS", 0.3)
    monkeypatch.setattr(process, "RELEASE_LEASE_SECONDS", 0.3)
    stop = Stop()
    worker, executor = worker_of(bench, job)
    executor.seconds = lambda task: 1e9

    def apiserver_goes_down() -> None:
        if not stop.is_set():
            served.stop()
            stop.set()

    executor.while_waiting = apiserver_goes_down
    with pytest.raises(StoppedError):
        process._run_with_lease(worker, served.transport, stop, Log())  # type: ignore[arg-type]  # another executor
    assert isinstance(executor, PlannedExecutor)
    assert [task.number for task in executor.cancelled] == [0]


def test_a_clean_end_releases_the_lease(bench: Bench, job: JobView, served: Served) -> None:
    """COMPLETE, and the next process with this index need not wait."""
    worker, _ = worker_of(bench, job)
    ending = process._run_with_lease(worker, served.transport, Stop(), Log())  # type: ignore[arg-type]  # another executor
    served.stop()
    assert ending.value == "COMPLETE"
    assert "holderIdentity" not in bench.get(job.lease_of(0))["spec"]


def test_a_worker_that_scales_down_releases_its_lease(bench: Bench) -> None:
    """The job continues without it, and observers need not wait until the Lease expires."""
    job = bench.deployed(inputs=list("abc"), partitions=0, replicas=10)
    bench.write_tasks(job, {0: "running/1/0/0/w1-bbbbbb", 1: "empty/1/0/0/w1-bbbbbb", 2: "empty/1/0/0/w1-bbbbbb"})
    bench.hold_lease(job, 1, "w1-bbbbbb")
    served = Served(bench)
    worker, _ = worker_of(bench, job, 9)
    ending = process._run_with_lease(worker, served.transport, Stop(), Log())  # type: ignore[arg-type]  # another executor
    served.stop()
    served.transport.close()
    assert ending is ExitReason.SCALED_DOWN
    assert bench.job().phase == "DEPLOYED"
    assert "holderIdentity" not in bench.get(job.lease_of(9))["spec"]


class RightsDeleted:
    """The apiserver after the clean-up of the job: releasing the Lease is forbidden."""

    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport
        self.rejected = 0

    def send(self, request: Request) -> Answer:
        """Answer 403 to the patch that releases the Lease."""
        if request.verb == "patch" and {"op": "remove", "path": "/spec/holderIdentity"} in request.body:
            self.rejected += 1
            return Answer(403, {"kind": "Status", "reason": "Forbidden", "message": "no such role"})
        return self.transport.send(request)

    def wait(self, watch: Watch, stop: Stop | None = None) -> WatchEvent | None:
        """Wait on a watch as usual."""
        return self.transport.wait(watch, stop)


def test_a_lease_that_may_not_be_released_is_no_failure(bench: Bench, job: JobView, served: Served) -> None:
    """The operator may delete the worker's rights with the job before the worker has ended."""
    worker, _ = worker_of(bench, job)
    transport = RightsDeleted(served.transport)
    ending = process._run_with_lease(worker, transport, Stop(), Log())  # type: ignore[arg-type]  # another executor
    assert (ending.value, transport.rejected) == ("COMPLETE", 1)


def test_settings_that_are_wrong(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the log names the variable."""
    assert run_worker({"KUBEMR_STORAGE_URL": tmp_path.as_uri()}) == EXIT_SETTINGS
    assert "KUBEMR_JOB_NAMESPACE is not set" in capfd.readouterr().err
