"""Where a worker command is checked: apiserver, proxy, inputs and a deployed job; the test is the operator."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kubemr.controller.inputs.sources import InputFile
from kubemr.controller.inputs.splitting import SplitSettings, task_inputs
from kubemr.controller.reconcile.context import StorageSettings
from kubemr.controller.reconcile.objects import builders
from kubemr.controller.reconcile.phases.claim import stages_of
from kubemr.controller.reconcile.phases.deploy import create_children
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.local.apiserver.http import HttpServer
from kubemr.local.apiserver.kubemr_server import kubemr_server
from kubemr.locks.config import Server
from kubemr.locks.effects import JSON_PATCH, Request, Resource
from kubemr.locks.http import HttpTransport
from kubemr.locks.threads import run
from kubemr.storage import ObjectStore, store_from_environment
from kubemr.tasks import encoding
from kubemr.tasks.shard import SHARDS
from support import protocolworkers
from support.protocolinputs import PATIENCE, Inputs
from support.protocoljudge import TEST, Judge
from support.protocolproxy import Proxy, Recorded
from support.protocolrecords import fouls
from support.taskforms import by_task
from support.workerharness import ROOT

TOKEN = "the-server's-own"
LEASE_SECONDS = 2.0
ODD = 'é "quoted" <a&b> \u2028 \u2029 \U0001f600'
"""Stands in a condition of each job, which has to be tested as it is written."""


class Process:
    """A worker that runs; `name` is what the proxy calls it."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], directory: Path) -> None:
        self.name, self._command, self._log = name, command, directory / f"{name}.log"
        self._container = f"kubemr-{secrets.token_hex(4)}-{name}"
        with self._log.open("wb") as stream:
            self._popen = subprocess.Popen(
                protocolworkers.container(command, self._container, directory, environ),
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    def wait(self) -> int:
        """Its exit code."""
        return self._popen.wait(PATIENCE)

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self._popen.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to it alone."""
        by_engine = protocolworkers.signalled(self._command, self._container, number)
        if by_engine is None:
            self._popen.send_signal(number)
        else:
            subprocess.run(by_engine, check=True, capture_output=True)

    def kill(self) -> None:
        """End it, with all it has started, at once."""
        if self.running and protocolworkers.signalled(self._command, self._container, signal.SIGKILL):
            self.signal(signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait(PATIENCE)

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text("utf-8", "replace")


class Stage:
    """Use `deploy`, then `start`; `until` waits; `finish` checks everything in the end."""

    def __init__(self, directory: Path, storage: Mapping[str, str], lease_seconds: float = LEASE_SECONDS) -> None:
        self.directory = directory
        self.storage = dict(storage)
        self.lease_seconds = lease_seconds
        self.store: ObjectStore = store_from_environment(self.storage)
        self.news = threading.Condition()
        self.inputs = Inputs(self.news)
        self._server = HttpServer(kubemr_server(), TOKEN)
        self._server.start()
        self.proxy = Proxy("127.0.0.1", self._server.port, TOKEN, self.news)
        self.proxy.before = self._before
        self._direct = HttpTransport(Server(self._server.url, token=TOKEN))
        self._via_proxy = HttpTransport(Server(self.proxy.url, token=TEST))
        self.workers: list[Process] = []
        self.fouls: list[str] = []
        self.judge: Judge
        self.job: JobView

    # -- the operator's part

    def deploy(
        self,
        contents: Mapping[str, bytes],
        *,
        partitions: int = 3,
        states: Mapping[int, str] | None = None,
        hints: Mapping[int, str] | None = None,
        without: Sequence[int] = (),
        tasks_per_chunk: int | None = None,
        splits: SplitSettings | None = None,
        job_run: int = 1,
        **spec: Any,
    ) -> JobView:
        """A deployed job with these inputs; of the map stage, other states and hints, and shards left out.

        With `tasks_per_chunk` the inputs are not in the spec but, so many in each, in chunks in the store.
        With `splits` they are files in the store, cut and packed.
        """
        self.inputs.contents.update(contents)
        spec = {"image": "none", "replicas": 2, "partitions": partitions, "maxAttempts": 3, **spec}
        listed = [self.inputs.url(name) for name in contents] if splits is None else self._split(contents, splits)
        spec |= {"inputs": listed} if tasks_per_chunk is None else {"inputsFrom": [{"manifest": "https://x.example/"}]}
        body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "the.job"}, "spec": spec}
        created = self.ask(Request("create", names.JOBS, "default", body=body))
        planned: dict[str, Any] = {}
        if tasks_per_chunk is not None:
            planned = {"inputs": {"plan": "2-c0ffee", "tasks": len(listed), "tasksPerChunk": tasks_per_chunk}}
            prefix = f"{JobView.of(created).storage_prefix}inputs/2-c0ffee"
            for number, begin in enumerate(range(0, len(listed), tasks_per_chunk)):
                chunk = json.dumps(listed[begin : begin + tasks_per_chunk])
                self.store.put(f"{prefix}/{number}.json", chunk.encode())
        stages = stages_of(JobView.of({**created, "status": planned}))
        moment = "2026-01-31T12:00:00Z"
        condition = {
            "type": "Deployed",
            "status": "True",
            "reason": "Deployed",
            "message": ODD,
            "lastTransitionTime": moment,
        }
        status = {"phase": "DEPLOYED", "run": job_run, "stage": "map", "stages": stages, "conditions": [condition]}
        status |= planned
        patch = [{"op": "add", "path": "/status", "value": status}]
        self.job = JobView.of(self._patch(names.JOBS, "the.job", patch, "status"))
        run(create_children(self.job, StorageSettings(self.storage, {}), self.lease_seconds), self._direct)
        for number in without:
            self.ask(Request("delete", SHARDS, "default", self.job.shard_name(self.job.stages[0], number)))
        self._bring(states or {})
        for number, hint in (hints or {}).items():
            path = "/metadata/labels/kubemr.turbobytes.com~1tasks"
            name = self.job.shard_name(self.job.stages[0], number)
            self._patch(SHARDS, name, [{"op": "add", "path": path, "value": hint}])
        listed = self.ask(Request("list", SHARDS, "default"))["items"]
        self.judge = Judge(
            self.job,
            {item["metadata"]["name"]: item["tasks"] for item in listed},
            {f"{self.job.base}-w-{index}": None for index in range(self.job.replicas)},
            {},
            self.lease_seconds,
        )
        return self.job

    def _bring(self, states: Mapping[int, str]) -> None:
        """Tasks of the map stage into other states; a shard whose tasks are all alike has one entry, as ever."""
        for name in {self._shard_of(number) for number in states}:
            tasks = encoding.texts(self.ask(Request("get", SHARDS, "default", name))["tasks"])
            tasks |= {number: state for number, state in states.items() if self._shard_of(number) == name}
            self._patch(SHARDS, name, [{"op": "replace", "path": "/tasks", "value": encoding.collapse(tasks)}])

    def create_shard(self, number: int) -> None:
        """A shard of the map stage that `deploy` left out."""
        bodies = list(builders.shards(self.job, self.job.stages[0], open_=True))
        made = self.ask(Request("create", SHARDS, "default", body=bodies[number]))
        self.judge.shards[made["metadata"]["name"]] = made["tasks"]

    def ask(self, request: Request) -> Any:
        """One request to the apiserver, not through the proxy."""
        answer = self._direct.send(request)
        assert answer.ok, answer
        return answer.body

    def write(self, resource: Resource, name: str, *operations: Any) -> Any:
        """A patch by the test, through the proxy so that the judge hears of it."""
        request = Request("patch", resource, "default", name, body=list(operations), content_type=JSON_PATCH)
        answer = self._via_proxy.send(request)
        assert answer.ok, answer
        return answer.body

    def _patch(self, resource: Resource, name: str, operations: list[Any], subresource: str | None = None) -> Any:
        request = Request("patch", resource, "default", name, subresource, body=operations, content_type=JSON_PATCH)
        return self.ask(request)

    def _split(self, contents: Mapping[str, bytes], cuts: SplitSettings) -> list[str]:
        for name, content in contents.items():
            self.store.put(f"files/{name}", content)
        files = [InputFile(self.store.url(f"files/{name}"), len(content)) for name, content in contents.items()]
        return [text for text in task_inputs(files, cuts) if text is not None]

    def _shard_of(self, number: int) -> str:
        return self.job.shard_name(self.job.stages[0], number // 32)

    # -- workers

    def environ(self, name: str, index: int) -> dict[str, str]:
        """What the operator and Kubernetes would give a worker."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR", "DOCKER_HOST") if key in os.environ}
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        storage = StorageSettings(self.storage, {})
        settings: dict[str, str] = builders.config_map(self.job, storage, self.lease_seconds)["data"]
        reach = {"KUBEMR_APISERVER": self.proxy.url, "KUBEMR_APISERVER_TOKEN": name, "JOB_COMPLETION_INDEX": str(index)}
        return {**kept, **settings, **reach}

    def start(self, command: Sequence[str], index: int = 0, environ: Mapping[str, str | None] | None = None) -> Process:
        """Start a worker; `environ` changes its environment, and a variable that is None is left out."""
        name = f"worker-{len(self.workers)}"
        self.judge.indexes = {**self.judge.indexes, name: index}
        variables: dict[str, str | None] = {**self.environ(name, index), **(environ or {})}
        process = Process(
            name, command, {key: value for key, value in variables.items() if value is not None}, self.directory
        )
        self.workers.append(process)
        return process

    # -- what happened

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait, from one request to the next, until `condition` gives something true."""
        deadline = time.monotonic() + PATIENCE
        with self.news:
            while not (found := condition()):
                left = deadline - time.monotonic()
                assert left > 0, f"waited {PATIENCE} s until {what}\n{self.account()}"
                self.news.wait(left)
        return found

    def account(self) -> str:
        """The last requests and what the workers wrote."""
        requests = "\n".join(str(record)[:600] for record in self.proxy.records[-40:])
        logs = "\n".join(f"--- {worker.name}\n{worker.log[-2000:]}" for worker in self.workers)
        return f"{requests}\n{logs}"

    def requests(self, worker: Process | None = None, kind: str = "", method: str = "PATCH") -> list[Recorded]:
        """What was asked so far."""
        return [
            record
            for record in self.proxy.records
            if record.method == method
            and not record.watch
            and record.kind.startswith(kind)
            and (worker is None or record.worker == worker.name)
        ]

    def document(self) -> Any:
        """The job as it is."""
        return self.ask(Request("get", names.JOBS, "default", self.job.name))

    def tasks(self, stage: int = 0) -> dict[int, str]:
        """The states of a stage's tasks as they are."""
        selector = self.job.selector(self.job.stages[stage])
        items = self.ask(Request("list", SHARDS, "default", query={"labelSelector": selector}))["items"]
        return {int(number): state for item in items for number, state in by_task(item["tasks"]).items()}

    def hints(self) -> set[str]:
        """The labels of all shards."""
        items = self.ask(Request("list", SHARDS, "default"))["items"]
        return {item["metadata"]["labels"]["kubemr.turbobytes.com/tasks"] for item in items}

    def token(self, worker: Process) -> str:
        """The token under which a worker took its Lease."""
        taken = (record for record in self.requests(worker, "leases") if record.landed)
        return str(
            next(record.sets["/spec/holderIdentity"] for record in taken if "/spec/holderIdentity" in record.sets)
        )

    def _before(self, record: Recorded) -> None:
        """What must be in the store before a patch is even sent."""
        if record.worker == TEST or not record.body:
            return
        needed: list[str] = []
        stage = next((s for s in self.job.stages if f"-{s.step}-{s.name}-" in record.name), None)
        for number, new in record.tasks.items():
            tested = record.values("test").get(f"/tasks/{number}")
            if not isinstance(tested, str) or tested.count("/") != 4 or new.count("/") != 4:
                self.fouls.append(f"changes task {number} without a test of the old string: {record}")
                continue
            old, state = tested.split("/"), new.split("/")
            attempt = f"{old[1]}-{old[4]}"
            prefix = (
                names.attempt_prefix(self.job.storage_prefix, stage.step, stage.name, int(number), attempt)
                if stage
                else ""
            )
            if state[0] == "done":
                needed.append(f"{prefix}outputs.json")
            if int(state[2]) > int(old[2]):
                needed.append(f"{prefix}error.json")
        if record.kind == "mapreducejobs" and (
            "/status/stage" in record.sets or record.sets.get("/status/phase") == "COMPLETE"
        ):
            key = record.values("test").get("/status/stage")
            sealed = next((each for each in self.job.stages if each.key == key), self.job.stages[0])
            needed.append(names.index_key(self.job.storage_prefix, self.job.run, sealed.step, sealed.name))
        self.fouls += [f"{key} is not in the store yet: {record}" for key in needed if self.store.stat(key) is None]

    def finish(self, *, code: int | None = 0) -> None:
        """All workers end with `code`, and all that they sent was legal."""
        if code is not None:
            codes = [worker.wait() for worker in self.workers]
            assert codes == [code] * len(codes), self.account()
        assert not self.fouls, self.fouls[0]
        assert not self.proxy.problems, self.proxy.problems[0]
        with self.news:
            records = list(self.proxy.records)
        self.judge.judge(records)
        problems = list(fouls(self.store, self.job.storage_prefix))
        assert not problems, problems[0]

    def results(self) -> list[bytes]:
        """What lies at the addresses of the complete job's results."""
        status = self.document()["status"]
        assert status["phase"] == "COMPLETE", (status, self.account())
        assert status["resultCount"] == len(status["results"])
        return [self.store.get(url[url.index(self.job.storage_prefix) :]) for url in status["results"]]

    def close(self) -> None:
        """End everything."""
        for worker in self.workers:
            worker.kill()
        self.inputs.stop()
        self._via_proxy.close()
        self._direct.close()
        self.proxy.stop()
        self._server.stop()


def word_counts(contents: Mapping[str, bytes], partitions: int) -> list[bytes]:
    """What a word count gives: the results of the partitions that have any words."""
    words = Counter(word for content in contents.values() for word in content.split())
    lines: dict[int, list[bytes]] = {}
    for word, count in sorted(words.items()):
        hashed = 2166136261
        for byte in word:
            hashed = (hashed ^ byte) * 16777619 % 2**32
        lines.setdefault(hashed % partitions, []).append(b"%s\t%d\n" % (word, count))
    return [b"".join(lines[number]) for number in sorted(lines)]
