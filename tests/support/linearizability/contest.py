"""Several apiservers over one etcd, contenders in several processes, kills in between, and the verdict."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kubemr.local.apiserver.kubemr_server import definitions
from kubemr.locks.config import Server
from kubemr.locks.effects import Request
from kubemr.locks.http import HttpTransport
from kubemr.tasks import encoding
from kubemr.tasks.shard import LABEL_TASKS, SHARDS
from support.accounts import until
from support.binaries import CHECKER
from support.certificates import make_certificates
from support.controlplane import ApiServer, Etcd
from support.linearizability.contender import CONFIG_MAPS

APISERVERS = 3
LOCKS, SHARDS_COUNT = 1_000, 250
TASKS, FRESH = 32, "pending/1/0/0/"
"""Of a shard in the beginning, as the checker has it, too."""
PROCESSES, THREADS = 4, 6
FIRST_KILL, BETWEEN_KILLS = 2.0, 10.0
"""Seconds from the start to the first kill, and from one apiserver's return to the next one's."""
OUTAGE = 1.0
"""Seconds from a kill to the new start, which takes some seconds itself."""


@dataclass(frozen=True)
class Outcome:
    """What the checker said, how many apiservers were killed meanwhile, and how many seconds the contest took."""

    summary: dict[str, Any]
    kills: int
    seconds: float

    @property
    def result(self) -> str:
        """`linearizable`, `not linearizable`, or `unknown: …`."""
        return str(self.summary["result"])


class Contest:
    """The servers; `hold` may be called several times, each with objects of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._certificates = make_certificates(folder / "certificates")
        self._etcd = Etcd(folder)
        self._apiservers: list[ApiServer] = []
        try:
            for number in range(APISERVERS):
                self._apiservers.append(ApiServer(folder / f"apiserver-{number}", self._etcd, self._certificates))
            self._install()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the servers."""
        for apiserver in self._apiservers:
            apiserver.stop()
        self._etcd.stop()

    def hold(self, operations: int, *, seed: str = "0", mistake: bool = False, kills: bool = True) -> Outcome:
        """Let contenders do this many operations.  With `mistake` their patches lack the tests.

        The histories stay in the folder `namespace` below this contest's.
        """
        namespace = self._apiservers[0].create_namespace("contest-")
        self._create_objects(namespace, mixed=not mistake)
        folder = self._folder / namespace
        folder.mkdir()
        settings = {
            "folder": str(folder),
            "namespace": namespace,
            "urls": [apiserver.url for apiserver in self._apiservers],
            "token": self._apiservers[0].token,
            "ca_file": str(self._certificates.ca),
            "locks": LOCKS,
            "shards": SHARDS_COUNT,
            "threads": THREADS,
            "operations_each": -(-operations // (PROCESSES * THREADS)),
            "seed": seed,
            "mistake": mistake,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        began = time.monotonic()
        killed = self._contend(folder, random.Random(seed), kills)
        seconds = time.monotonic() - began
        return Outcome(check(sorted(folder.glob("history-*.jsonl"))), killed, seconds)

    def _contend(self, folder: Path, chance: random.Random, kills: bool) -> int:
        command = [sys.executable, "-m", "support.linearizability.contender", str(folder / "settings.json")]
        processes = []
        ended = threading.Event()

        def tell() -> None:
            wait(waiting)
            ended.set()

        killed = 0
        with ThreadPoolExecutor() as pool:
            try:
                for number in range(PROCESSES):
                    processes.append(subprocess.Popen([*command, str(number)], cwd=Path(__file__).parents[2]))
                waiting = [pool.submit(process.wait) for process in processes]
                pool.submit(tell)
                pause = FIRST_KILL
                while kills and not ended.wait(pause):
                    pause = BETWEEN_KILLS
                    apiserver = chance.choice(self._apiservers)
                    apiserver.daemon.kill()
                    killed += 1
                    ended.wait(OUTAGE)
                    apiserver.daemon.start_again(apiserver.ready, deadline=300)
                statuses = [each.result() for each in waiting]
            finally:
                for process in processes:
                    process.kill()
                    process.wait()
        if any(statuses):
            raise RuntimeError(f"contenders ended with {statuses}; their traceback is above")
        return killed

    def _install(self) -> None:
        """The apiservers begin to serve a definition each in its own time."""
        for kind in definitions():
            reply = self._apiservers[0].request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", kind)
            if reply.status != 201:
                raise RuntimeError(f"the apiserver refused a definition with {reply.status}: {reply.body}")
        path = f"/apis/{SHARDS.group}/{SHARDS.version}/{SHARDS.plural}"
        for apiserver in self._apiservers:
            until(partial(_serves, apiserver, path), 60)

    def _create_objects(self, namespace: str, *, mixed: bool) -> None:
        """Every second shard has one entry for all tasks, if `mixed`: without tests the two forms would be confused."""
        requests = []
        for number in range(LOCKS):
            body: dict[str, Any] = {"metadata": {"name": f"lock-{number}"}}
            requests.append(Request("create", CONFIG_MAPS, namespace, body=body))
        fresh = dict.fromkeys(range(TASKS), FRESH)
        for number in range(SHARDS_COUNT):
            tasks = encoding.collapse(fresh) if mixed and number % 2 else encoding.expand(fresh)
            body = {"apiVersion": f"{SHARDS.group}/{SHARDS.version}", "kind": "MapReduceTaskShard", "tasks": tasks}
            body["metadata"] = {"name": f"shard-{number}", "labels": {LABEL_TASKS: "open"}}
            requests.append(Request("create", SHARDS, namespace, body=body))
        first = self._apiservers[0]
        server = Server(first.url, token=first.token, ca_file=first.ca_file)
        with HttpTransport(server) as transport, ThreadPoolExecutor(THREADS) as pool:
            for answer in pool.map(transport.send, requests):
                if answer.status != 201:
                    raise RuntimeError(f"the apiserver refused an object with {answer.status}: {answer.message}")


def _serves(apiserver: ApiServer, path: str) -> bool:
    return apiserver.request("GET", path).status == 200


def check(histories: Sequence[Path], seconds: float = 120) -> dict[str, Any]:
    """The checker's summary; it has at most so many seconds."""
    command = [str(CHECKER.path()), f"-timeout={seconds}s", *map(str, histories)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(f"the checker ended with {done.returncode}: {done.stderr}")
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary
