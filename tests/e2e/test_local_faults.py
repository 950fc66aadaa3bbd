"""Whatever is killed or stopped during a local run, its result is the same, and nothing is left over.

The fault strikes at the n-th change of a task shard, n drawn from the seed; so it hits deployment, any moment of the
map or reduce stage, or their end, and never depends on how fast the machine is.
"""

from __future__ import annotations

import hashlib
import os
import queue
import random
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubemr.coordination import names
from kubemr.coordination.attempt_records import RECORDS
from kubemr.coordination.kinds import KUBERNETES_JOBS, PODS
from kubemr.local.cluster import LocalCluster
from kubemr.local.job_watcher import JobEvent, JobGone, JobSeen, JobWatcher, SettingsGone, ShardSeen, WatchFailed
from kubemr.local.list_watch import Listed, follow
from kubemr.local.output_log import OutputLog
from kubemr.local.store_settings import store_settings
from kubemr.locks.effects import MERGE_PATCH, Json, Request, Resource
from kubemr.locks.http import HttpTransport
from kubemr.locks.lease import LEASES
from kubemr.locks.threads import Stop
from kubemr.tasks.shard import SHARDS
from support.localrun import MARK, Marked, contents, document
from support.workerharness import PATIENCE

pytestmark = pytest.mark.long

TASKS, PARTITIONS, WORKERS = 96, 5, 3
LEASE_SECONDS = 2.0
LATEST = 12
"""A run has at least so many changes of shards: 4 shards, each claimed several times and committed."""

WORKER = """
class Worker(kubemr.JobWorker):
    def map(self, input):
        time.sleep(0.01 + int(input) % 5 / 100)
        line = f"{input} {'x' * int(input)}\\n".encode()
        return {(int(input) + n) % self.job.partitions: self.store(f"{n}.txt", line) for n in range(2)}

    def reduce(self, inputs):
        time.sleep(0.05)
        return self.store("out.txt", b"".join(sorted(map(self.fetch, inputs))))

if __name__ == "__main__":
    kubemr.serve(Worker())
"""


def expected() -> list[bytes]:
    """The results of an undisturbed run, worked out here."""
    parts: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    for number in range(TASKS):
        for n in range(2):
            parts[(number + n) % PARTITIONS].append(f"{number} {'x' * number}\n".encode())
    return [b"".join(sorted(part)) for part in parts]


class Run:
    """One job in a local cluster, from deployment to its end, with something that happens on the way."""

    def __init__(self, marked: Marked) -> None:
        self.marked = marked
        self.program = marked.program(WORKER)
        self.output_log = OutputLog()
        self.events: queue.SimpleQueue[JobEvent | Exception] = queue.SimpleQueue()
        self.cluster = LocalCluster(
            store_settings(str(marked.store)),
            self.output_log,
            self.events.put,
            lease_seconds=LEASE_SECONDS,
            log_level="debug",
        )

    def workers(self, *, child: bool) -> list[int]:
        """The processes of the worker program: the runtimes, or those that run user code."""
        return [
            pid
            for pid, (command, environ) in sorted(self.marked.processes().items())
            if str(self.program) in command and ("KUBEMR_CHILD_FD" in environ) is child
        ]

    def finish(self, strike: Callable[[Run], None] | None, moment: int) -> Json:
        """Run the job; `strike` at that change of a shard.  Gives the job's status in the end."""
        worker = {"name": "worker", "command": [sys.executable, str(self.program)]}
        job = document(
            inputs=[str(number) for number in range(TASKS)],
            partitions=PARTITIONS,
            replicas=WORKERS,
            template={"spec": {"containers": [worker]}},
        )
        self.cluster.start()
        with HttpTransport(self.cluster.server) as transport:
            created = transport.send(Request("create", names.JOBS, "default", body=job))
            assert created.ok, created.message
            follower = JobWatcher(self.cluster.server, created.body, self.events.put)
            follower.start()
            try:
                return self._follow(strike, moment)
            finally:
                follower.stop()

    def _follow(self, strike: Callable[[Run], None] | None, moment: int) -> Json:
        seen: set[str] = set()
        status: Json = {}
        while True:
            try:
                event = self.events.get(timeout=PATIENCE)
            except queue.Empty:
                lines = "\n".join(f"{source}: {line}" for source, line in self.output_log.last())
                raise AssertionError(f"nothing happened for {PATIENCE} s; {status}\n{lines}") from None
            match event:
                case JobSeen(seen_job):
                    status = seen_job.get("status") or {}
                    assert status.get("phase") != "FAIL", status["error"]
                case ShardSeen(shard):
                    changed = any(not text.startswith("pending/1/") for text in shard["tasks"].values())
                    if changed:
                        seen.add(shard["metadata"]["resourceVersion"])
                    if strike is not None and len(seen) >= moment:
                        strike(self)
                        strike = None
                case SettingsGone():
                    assert strike is None, f"the job was over before change {moment} of a shard"
                    assert status["phase"] == "COMPLETE"
                    return status
                case WatchFailed(error):
                    raise error
                case JobGone():
                    raise AssertionError("the job was deleted")
                case Exception():
                    raise event


def kill_worker(run: Run) -> None:
    os.kill(random.choice(run.workers(child=False)), signal.SIGKILL)


def kill_user_code(run: Run) -> None:
    # A worker that is being restarted at this moment has no process; there are three workers.
    os.kill(random.choice(run.workers(child=True)), signal.SIGKILL)


def kill_all_workers(run: Run) -> None:
    for pid in run.workers(child=False):
        os.kill(pid, signal.SIGKILL)


def kill_operator(run: Run) -> None:
    pid = run.cluster.operator.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def pause(pid: int) -> None:
    """SIGSTOP, and SIGCONT when the Lease has long expired."""
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGSTOP)

    def wake() -> None:
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGCONT)
        except ProcessLookupError:
            pass  # the run was over, and it with it
        finally:
            os.close(descriptor)

    threading.Timer(LEASE_SECONDS * 1.75, wake).start()


def pause_worker(run: Run) -> None:
    pause(random.choice(run.workers(child=False)))


def pause_user_code(run: Run) -> None:
    pause(random.choice(run.workers(child=True)))


def pause_operator(run: Run) -> None:
    pid = run.cluster.operator.pid
    assert pid is not None
    pause(pid)


def kill_both(run: Run) -> None:
    kill_operator(run)
    kill_worker(run)


def change(run: Run, **spec: object) -> None:
    """As `kubectl patch` does."""
    with HttpTransport(run.cluster.server) as transport:
        (job,) = transport.send(Request("list", names.JOBS, "default")).body["items"]
        name = job["metadata"]["name"]
        body = {"spec": spec}
        answer = transport.send(Request("patch", names.JOBS, "default", name, body=body, content_type=MERGE_PATCH))
        assert answer.ok, answer.message


def scale_up(run: Run) -> None:
    change(run, replicas=WORKERS + 2)


def scale_down(run: Run) -> None:
    change(run, replicas=1)


def suspend_and_resume(run: Run) -> None:
    change(run, suspend=True)
    wait_until_none(run, PODS)
    assert run.workers(child=False) == []
    change(run, suspend=False)


FAULTS = {
    "scale up": scale_up,
    "scale down": scale_down,
    "suspend and resume": suspend_and_resume,
    "kill worker": kill_worker,
    "kill user code": kill_user_code,
    "kill all workers": kill_all_workers,
    "kill operator": kill_operator,
    "kill operator and worker": kill_both,
    "pause worker": pause_worker,
    "pause user code": pause_user_code,
    "pause operator": pause_operator,
}


def wait_until_none(run: Run, resource: Resource) -> None:
    """Wait until the apiserver has no object of this kind."""
    there: set[str] = set()
    stop = Stop()
    timer = threading.Timer(PATIENCE, stop.set)
    timer.start()
    try:
        for event in follow(run.cluster.server, resource, None, stop):
            if isinstance(event, Listed):
                there = {item["metadata"]["name"] for item in event.items}
            elif event.type == "DELETED":
                there.discard(event.object["metadata"]["name"])
            else:
                there.add(event.object["metadata"]["name"])
            if not there:
                return
        raise AssertionError(f"{resource.plural} are left: {there}")
    finally:
        timer.cancel()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    marked = Marked(tmp_path)
    for name, value in marked.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(marked.temporary))
    run = Run(marked)
    try:
        yield run
    finally:
        run.cluster.stop()
        run.marked.wait_until_none()
        run.cluster.remove_files()
    assert run.marked.files() == []


def check(run: Run, status: Json) -> None:
    """The result is right, and of the run nothing but the job and its results is left."""
    assert contents(status["results"]) == expected()
    for resource in (KUBERNETES_JOBS, PODS, SHARDS):
        wait_until_none(run, resource)
    with HttpTransport(run.cluster.server) as transport:
        ours = {"labelSelector": names.LABEL_UID}
        for resource in (LEASES, Resource("", "v1", "configmaps"), Resource("", "v1", "secrets")):
            left = transport.send(Request("list", resource, query=ours)).body["items"]
            assert left == [], [item["metadata"]["name"] for item in left]
    files = [path for path in run.marked.store.rglob("*") if path.is_file()]
    intermediate = [path for path in files if "/0/map/" in str(path) and path.name not in RECORDS]
    assert not intermediate, "intermediate files are left"
    assert not [path for path in files if path.name.startswith(".kubemr-part-")], "unfinished files are left"


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_changes_nothing(run: Run, fault: str, seed: int) -> None:
    """Killed, paused, scaled or suspended at any moment: the result is the same, byte for byte, and nothing is left."""
    drawn = int.from_bytes(hashlib.sha256(f"{fault}/{seed}".encode()).digest()[:4], "big")
    random.seed(drawn)
    check(run, run.finish(FAULTS[fault], 1 + drawn % LATEST))


def test_the_operator_dies_while_it_deploys(run: Run) -> None:
    """The next one takes the job over when the dead one's Lease has expired, and completes the deployment."""
    check(run, run.finish(kill_operator, 0))
    assert any("operator_started" in line for _, line in run.output_log.last(source="operator"))


def test_undisturbed(run: Run) -> None:
    """The same without a fault."""
    check(run, run.finish(None, 0))
    assert MARK in os.environ
