"""What a job of many workers asks of a real apiserver: by phase, by verb and kind, and what that costs.

    make bench-workers WORKERS=1000

The real worker loop with the real renewals, once for each worker, all in one process and by the account of the job's
workers; only the user's code is not there: a task is a pause.  One real operator drives the job.  etcd and
kube-apiserver are real, with kubemr's manifests: its rights, rules of admission and priority levels hold.
Prints a table and writes `build/bench/workers.json`, a list of `{name, value, unit}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from coordination.server import Server

from kubemr.controller.client import Client, PlainConnection
from kubemr.controller.operator import OperatorProcess
from kubemr.controller.settings import OperatorSettings
from kubemr.coordination import names
from kubemr.coordination.advance import Means
from kubemr.coordination.job import JobView
from kubemr.coordination.wallclock import micro_timestamp, timestamp
from kubemr.locks import aio
from kubemr.locks.conditional import Refused, Target, read
from kubemr.locks.lease import LEASES, LeaseLost, duration_of, keep, renew, take
from kubemr.locks.request import Answer, Do, Json, Op, Request, Sleep, Watch, WatchEvent
from kubemr.locks.taskstate import make_token
from kubemr.storage import store_from_environment
from kubemr.worker.loop import Identity, Over, Worker, begin
from support.accounts import token_of
from support.lightexecutor import WAIT, LightExecutor, light_assigner

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "build" / "bench" / "workers.json"
NAMESPACE = "default"
MAP_TASKS = 64
MAP_SECONDS = 75.0
REDUCE_SECONDS = 15.0
START_SECONDS = 20.0
RENEWALS = 1000
T = TypeVar("T")


class Counting:
    """A transport that counts what goes through it, and how many watches are open."""

    def __init__(self, client: Client, over: Callable[[], bool]) -> None:
        self._client = client
        self.over = over
        """Whether the job is."""
        self.requests: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.by_second: Counter[int] = Counter()
        self.watches = self.most_watches = self.leases_lost = self.renewals_refused = 0

    async def send(self, request: Request) -> Answer:
        """One exchange."""
        self._count(f"{request.verb} {request.resource.plural}")
        answer = await self._client.send(request)
        if answer.status in (0, 429) or answer.status >= 500:
            self.refused[answer.status] += 1
            self.errors[answer.message] += 1
            self.renewals_refused += request.resource == LEASES and request.verb == "patch"
        return answer

    async def wait(self, watch: Watch) -> WatchEvent | None:
        """One watch."""
        self._count(f"watch {watch.resource.plural}")
        self.watches += 1
        self.most_watches = max(self.most_watches, self.watches)
        try:
            return await self._client.wait(watch)
        finally:
            self.watches -= 1

    def _count(self, what: str) -> None:
        self.requests[what] += 1
        self.by_second[int(time.monotonic())] += 1

    def forget(self) -> None:
        """Count anew."""
        self.requests.clear()
        self.by_second.clear()
        self.refused.clear()
        self.errors.clear()


class Watched(Client):
    """The operator's client, which counts too."""

    def __init__(self, connection: PlainConnection) -> None:
        super().__init__(connection)
        self.requests: Counter[str] = Counter()

    async def send(self, request: Request) -> Answer:
        """One exchange."""
        self.requests[f"{request.verb} {request.resource.plural}"] += 1
        return await super().send(request)


def light(op: Op[T], executor: LightExecutor) -> Op[T]:
    """The same operation, in which nothing blocks: it sleeps until a task may have ended."""
    answer: Any = None
    try:
        while True:
            effect = op.send(answer)
            if isinstance(effect, Do):
                if effect.what == WAIT:
                    yield Sleep(executor.due(1.0))
                answer = effect.function()
            else:
                answer = yield effect
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        op.close()


async def work(job: JobView, index: int, transport: Counting, store: Any) -> None:
    """One worker's life."""
    token = make_token(index, int.from_bytes(os.urandom(8), "big"))
    identity = Identity(job.namespace, job.name, job.uid, job.run, token, 15.0)
    executor = LightExecutor(
        time.monotonic, lambda task: MAP_SECONDS if task.stage == "map" else REDUCE_SECONDS + task.number % 10
    )
    renewing: asyncio.Task[None] | None = None
    lease = identity.lease_of(token)
    try:
        await aio.run(begin(identity), transport)
        taken = await aio.run(light(take(lease, token, micro_timestamp), executor), transport)
        duration = duration_of(taken, 15.0)
        identity = Identity(job.namespace, job.name, job.uid, job.run, token, duration)
        renewals = keep(lease, token, duration, alive=lambda: True, stamp=micro_timestamp)
        renewing = asyncio.create_task(aio.run(light(renewals, executor), transport))
        worker = Worker(identity, executor, Means(store, timestamp), light_assigner(token))
        await aio.run(light(worker.run(), executor), transport)
    except (LeaseLost, Over) as gone:  # the job is over, and has been cleaned up; or, of a Lease, it is not
        transport.leases_lost += isinstance(gone, LeaseLost) and not transport.over()
    except Refused:
        # So are the workers' rights: there are no pods whose end the operator would wait for.
        if not transport.over():
            raise
    finally:
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)


class Report:
    """What was measured."""

    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []

    def add(self, name: str, value: float, unit: str) -> None:
        """One figure."""
        self.results.append({"name": name, "value": round(value, 3), "unit": unit})
        print(f"{name:56} {value:10.2f} {unit}")

    def phase(self, name: str, seconds: float, cpu: float, counted: Counting, operator: Counter[str]) -> None:
        """The requests of one phase."""
        total = sum(counted.requests.values())
        self.add(f"{name}: requests of all workers", total / seconds, "1/s")
        self.add(f"{name}: busiest second", max(counted.by_second.values(), default=0), "1/s")
        for what, number in counted.requests.most_common():
            self.add(f"{name}: {what}", number / seconds, "1/s")
        self.add(f"{name}: requests of the operator", sum(operator.values()) / seconds, "1/s")
        self.add(f"{name}: apiserver and etcd", cpu / seconds, "cores")
        self.add(f"{name}: answers 429", counted.refused[429], "")
        self.add(f"{name}: answers 5xx", sum(n for status, n in counted.refused.items() if status >= 500), "")
        self.add(f"{name}: no answer", counted.refused[0], "")
        for error, number in counted.errors.most_common(3):
            print(f"    {number} times {error[:150]}")


async def until(happened: Callable[[], Any], what: str, seconds: float = 400.0) -> None:
    """Look every half second."""
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110  # the cache is another task's, and tells nobody
            await asyncio.sleep(0.5)
    print(f"… {what}")


async def measure(server: Server, workers: int, folder: Path) -> Report:
    """All phases."""
    report, api = Report(), server.apiserver
    environ = {"KUBEMR_STORAGE_URL": f"file://{folder}", "KUBEMR_INSTANCE": "bench", "KUBEMR_NAMESPACE": "default"}

    def connection(token: str = api.token) -> PlainConnection:
        return PlainConnection(api.url, token, ca_file=str(api.ca_file), max_connections=0)

    spec = {
        "image": "none",
        "replicas": workers,
        "inputs": [str(number) for number in range(MAP_TASKS)],
        "partitions": max(1, workers // 2),
    }
    body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "many"}, "spec": spec}
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        client, own = Client(connection()), Watched(connection())
        for each in (client, own):
            await stack.enter_async_context(each)
        operator = OperatorProcess(own, OperatorSettings.from_environment(environ))
        running = asyncio.create_task(operator.run(stop))
        answer = await client.send(Request("create", names.JOBS, NAMESPACE, body=body))
        assert answer.ok, answer

        def job() -> JobView | None:
            found: Json = operator.cache.jobs.store.find(NAMESPACE, "many")
            return None if found is None else JobView.of(found)

        def shows(phase: str, stage: str = "") -> bool:
            found = job()
            return found is not None and found.phase == phase and stage in ("", found.stage)

        began = time.monotonic()
        await until(lambda: shows("DEPLOYED"), "deployed")
        report.add("deployment", time.monotonic() - began, "s")
        deployed = job()
        assert deployed is not None
        theirs = Client(connection(token_of(api, NAMESPACE, names.account(deployed.base))))
        await stack.enter_async_context(theirs)
        counting, store = Counting(theirs, lambda: shows("COMPLETE")), store_from_environment(environ)
        lives = [asyncio.create_task(work(deployed, index, counting, store)) for index in range(workers)]

        async def phase(name: str, waiting: Any) -> None:
            counting.forget()
            own.requests.clear()
            cpu, since = server.cpu(), time.monotonic()
            await waiting
            seconds = time.monotonic() - since
            report.phase(name, seconds, server.cpu() - cpu, counting, own.requests)

        await phase("start", asyncio.sleep(START_SECONDS))
        await asyncio.sleep(START_SECONDS)
        await phase("idle", asyncio.sleep(30.0))
        await until(lambda: shows("DEPLOYED", "reduce"), "map is done")
        await phase("change of stage", asyncio.sleep(10.0))
        await phase("tail", until(lambda: shows("COMPLETE"), "complete"))
        report.add("watches open at once, most", counting.most_watches, "")
        report.add("renewals refused, in all phases", counting.renewals_refused, "")
        report.add("workers that lost their Lease", counting.leases_lost, "")
        await asyncio.wait_for(asyncio.gather(*lives), 200)
        await _renewals(client, server, report)
        stop.set()
        await running
    return report


async def _renewals(client: Client, server: Server, report: Report) -> None:
    """What one renewal costs the servers."""
    target = Target(LEASES, NAMESPACE, "bench")
    body = {"metadata": {"name": "bench"}, "spec": {"leaseDurationSeconds": 15}}
    await client.send(Request("create", target.resource, NAMESPACE, body=body))
    token = make_token(0, 1)
    await aio.run(take(target, token, micro_timestamp), client)
    cpu = server.cpu()
    for number in range(RENEWALS):
        await aio.run(renew(target, token, f"2026-01-01T00:00:00.{number:06d}Z"), client)
    report.add("one renewal: apiserver and etcd", (server.cpu() - cpu) / RENEWALS * 1000, "ms")
    lease = await aio.run(read(target), client)
    report.add("one renewal: the Lease as JSON", len(json.dumps(lease, separators=(",", ":"))), "bytes")


def main() -> None:
    """Measure, print, write."""
    workers = int(os.environ.get("WORKERS") or 1000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder)
        try:
            report = asyncio.run(measure(server, workers, folder / "store"))
        finally:
            server.stop()
    report.add("workers", workers, "")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(report.results, indent=2) + "\n")


if __name__ == "__main__":
    main()
