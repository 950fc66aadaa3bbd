"""One process of contenders: threads that take and give back locks and tasks by `kubemr.locks`.

Each request goes to an apiserver drawn at random, so the read that follows a doubtful patch asks another one.
What they want moves along slowly, the same for all at a time, so that they meet.  One operation in fifty is given up
in its midst, as by a process that dies: then nobody knows whether its patch landed, or will.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from attr import evolve

from kubemr.locks.conditional import Target, read
from kubemr.locks.config import Server
from kubemr.locks.deadline import with_deadline
from kubemr.locks.effects import Answer, Op, Request, Resource, Watch, WatchEvent
from kubemr.locks.http import HttpTransport
from kubemr.locks.identity import unique
from kubemr.locks.lock import Acquisition, Lock, LockResult, LockStatus, release, try_acquire
from kubemr.locks.threads import Stop, run
from kubemr.tasks.claims import Change, ClaimResult, choose, commit_and_claim, mark_lost
from kubemr.tasks.shard import SHARDS, Shard
from kubemr.tasks.state import TaskState, Token, make_token
from support.linearizability.history import Recorder, swaps

CONFIG_MAPS = Resource("", "v1", "configmaps")
LOCKS_AT_ONCE, SHARDS_AT_ONCE = 8, 3
"""How many of each are contended for at a time."""
SECONDS_PER_KEY = 0.01
"""How fast that moves along."""
WHOLE = 0.2
"""How often all that is pending in a shard is claimed."""
GIVEN_UP = 0.02
PATIENCE = 20.0
"""Seconds after which an operation is given up in any case."""
EACH = 4.0
"""Seconds for one request."""
MAX_LOSSES = 9_999

T = TypeVar("T")


class Scattered:
    """A transport that sends each request to any of the servers; without its tests if a `mistake` is to be found."""

    def __init__(self, servers: Sequence[Server], chance: random.Random, mistake: bool) -> None:
        self._transports = [HttpTransport(server) for server in servers]
        self._chance, self._mistake = chance, mistake
        self.missed = False
        """Whether, since this was last cleared, a patch had no answer that says if it landed."""

    def send(self, request: Request) -> Answer:
        """One exchange."""
        if self._mistake and request.verb == "patch":
            request = evolve(request, body=[operation for operation in request.body if operation["op"] != "test"])
        answer = self._chance.choice(self._transports).send(request)
        self.missed = self.missed or (request.verb == "patch" and not answer.definite)
        return answer

    def wait(self, watch: Watch, stop: Stop | None = None) -> WatchEvent | None:
        """Nobody here waits for events."""
        raise NotImplementedError

    def close(self) -> None:
        """Close all connections."""
        for transport in self._transports:
            transport.close()


class Contender:
    """One client; `go` until it has done its share of operations."""

    def __init__(self, client: int, settings: dict[str, Any], servers: Sequence[Server], recorder: Recorder) -> None:
        self._client, self._settings, self._recorder = client, settings, recorder
        self._chance = random.Random(f"{settings['seed']}/{client}")
        self._transport = Scattered(servers, self._chance, settings["mistake"])
        self._token = self._new_token()

    def go(self, operations: int) -> None:
        """Contend."""
        try:
            while self._recorder.operations < operations:
                self._contend_for_lock() if self._chance.random() < 0.6 else self._contend_for_tasks()
        finally:
            self._transport.close()

    def _run(self, op: Op[T]) -> T:
        self._transport.missed = False
        self._recorder.call()
        return run(op, self._transport, random=self._chance.random)

    def _timeout(self) -> float:
        return self._chance.random() * 0.02 if self._chance.random() < GIVEN_UP else PATIENCE

    def _drawn(self, count: int, at_once: int) -> int:
        keys: int = self._settings["locks"]
        first = int(time.monotonic() / SECONDS_PER_KEY) * count // keys
        return (first + self._chance.randrange(at_once)) % count

    def _new_token(self) -> Token:
        return make_token(self._client, self._chance.getrandbits(32))

    # -- locks

    def _contend_for_lock(self) -> None:
        name = f"lock-{self._drawn(self._settings['locks'], LOCKS_AT_ONCE)}"
        lock = Lock(Target(CONFIG_MAPS, self._settings["namespace"], name), "/data/lock", unique(), duration=4 * EACH)
        held = self._acquire(name, lock, self._timeout())
        if held is None:
            return
        if self._chance.random() < 0.3:
            self._contend_for_tasks()
        if self._release(name, held, self._timeout()).status is LockStatus.UNKNOWN:
            again = self._acquire(name, lock, PATIENCE)
            if again is not None:
                self._release(name, again, PATIENCE)

    def _acquire(self, name: str, lock: Lock, timeout: float) -> Acquisition | None:
        result = self._run(try_acquire(lock, timeout=timeout))
        self._recorder.acquired(name, lock, result)
        if result.status is LockStatus.UNKNOWN:
            return self._acquire(name, lock, PATIENCE)  # who does not know what it holds tries again
        return result.acquisition

    def _release(self, name: str, held: Acquisition, timeout: float) -> LockResult:
        result = self._run(release(held, timeout=timeout))
        self._recorder.released(name, held, result, missed=self._transport.missed)
        return result

    # -- tasks

    def _contend_for_tasks(self) -> None:
        name = f"shard-{self._drawn(self._settings['shards'], SHARDS_AT_ONCE)}"
        shard = self._read(name)
        held: dict[int, TaskState] = {}
        patches = self._chance.randint(2, 4)  # the first one claims, the last one does not
        for number in range(patches):
            changes = {task: self._change(self._token) for task in held}
            last = number == patches - 1
            count = len(shard.tasks) if self._chance.random() < WHOLE else self._chance.randint(1, 4)
            claim = [] if last else choose(shard, count, self._chance.randrange(4))
            if not changes and not claim:
                return
            result = self._commit_and_claim(name, shard, changes, claim)
            if result is None:
                return
            shard, held = result

    def _read(self, name: str) -> Shard:
        shard = Shard.parse(self._run(read(Target(SHARDS, self._settings["namespace"], name))))
        self._recorder.read(name, shard)
        return shard

    def _change(self, token: Token) -> Change:
        if self._chance.random() < 0.1:
            return lambda state: state.commit(token, empty=False)
        return lambda state: state.release(token)

    def _commit_and_claim(
        self, name: str, shard: Shard, changes: dict[int, Change], claim: list[int]
    ) -> tuple[Shard, dict[int, TaskState]] | None:
        after = {task: change(shard.tasks[task]) for task, change in changes.items()}
        done = swaps(shard, after)
        wanted = done + swaps(shard, {task: shard.tasks[task].claim(self._token) for task in claim})
        op: Op[ClaimResult | None] = commit_and_claim(shard, self._token, changes, claim)
        result = self._run(with_deadline(op, self._timeout(), None, each=EACH))
        if result is None:
            self._recorder.doubtful(name, wanted, done)
            self._die(name)
            return None
        got = all(task in result.held for task in claim)
        if result.superseded:
            # What is claimed or committed stays; what is given back may be claimed by others before one has looked.
            self._recorder.overtaken(name, done, result.shard, missed=self._transport.missed)
        elif got:
            self._recorder.swapped(name, wanted)
        elif done:
            self._recorder.swapped(name, done)
        else:
            self._recorder.refused(name, wanted, result.shard)
        return result.shard, dict(result.held)

    def _die(self, name: str) -> None:
        """Live on under a new token, and take the tasks of the former self away, whose patch may be under way."""
        dead, self._token = self._token, self._new_token()
        shard = self._read(name)
        lost = {task: state.mark_lost({dead}, MAX_LOSSES) for task, state in shard.held_by(dead).items()}
        if not lost:
            return
        wanted = swaps(shard, lost)
        after = self._run(mark_lost(shard, {dead}, MAX_LOSSES))
        if any(after.tasks[task] == state for task, state in lost.items()):
            self._recorder.swapped(name, wanted)
        else:
            self._recorder.overtaken(name, wanted, after, missed=self._transport.missed)


def main() -> None:
    """`contender.py SETTINGS.json NUMBER`: run the threads of process NUMBER, each with a history file of its own."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    threads, process = settings["threads"], int(sys.argv[2])
    servers = [
        Server(url, token=settings["token"], ca_file=settings["ca_file"], connect_timeout=EACH, read_timeout=EACH)
        for url in settings["urls"]
    ]
    with ExitStack() as stack, ThreadPoolExecutor(threads) as pool:
        ended = []
        for client in range(process * threads, (process + 1) * threads):
            sink = stack.enter_context(open(Path(settings["folder"], f"history-{client}.jsonl"), "w"))
            contender = Contender(client, settings, servers, Recorder(client, sink))
            ended.append(pool.submit(contender.go, settings["operations_each"]))
        for each in ended:
            each.result()


if __name__ == "__main__":
    main()
