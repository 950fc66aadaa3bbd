"""Run many real worker loops on an in-memory apiserver in virtual time, and count their requests.

Events happen at their times, not in random order: this measures how many requests there are, and when.
`support.simulation` tests interleavings.
Watches are real: a worker that watches is woken by the first event that its selector matches.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any

from attr import define, field

from kubemr.coordination.advance import Dependencies
from kubemr.coordination.job_view import JobView
from kubemr.local.apiserver.watch import Subscription
from kubemr.locks.effects import Answer, Do, Effect, Json, Now, Op, Random, Request, Sleep, Watch, WatchEvent
from kubemr.locks.lease import keep_renewed, take
from kubemr.tasks.state import Token, make_token
from kubemr.worker.scheduling.identity import ExitReason, Identity, read_job_at_start
from kubemr.worker.scheduling.loop import Worker
from support.bench import Bench
from support.lightexecutor import WAIT, LightExecutor, LightTask, light_assigner

RESPONSE_SECONDS = 0.01
"""The time from a request to its answer."""


@define(eq=False)
class SimulatedWorker:
    """One worker, or the renewals of one."""

    token: Token
    op: Op[Any]
    executor: LightExecutor
    ended: ExitReason | None = None
    dead: bool = False
    """Whether the worker has died: it sends no more requests."""
    wait_number: int = 0
    """The number of the current wait: an event that ends a wait makes its deadline void."""
    fetch: Callable[[], Any] | None = None
    """Returns the answer when the wait is over."""


@define(eq=False)
class ManyWorkers:
    """Workers of one job that the bench has deployed.  `requests` counts by second, verb and kind."""

    bench: Bench
    job: JobView
    lease_seconds: float
    seconds: Callable[[LightTask], float]
    storage_seconds: Mapping[str, float] = field(factory=dict)
    """How many seconds an operation of the storage takes, by `Do.what`; all others take none."""
    storage_users: list[SimulatedWorker] = field(factory=list)
    """The workers that started such operations, in order."""
    workers: list[SimulatedWorker] = field(factory=list)
    requests: Counter[tuple[int, str, str]] = field(factory=Counter)
    watches: int = 0
    """The number of open watches."""
    max_watches: int = 0
    _agenda: list[tuple[float, int, SimulatedWorker, int]] = field(factory=list)
    _numbers: count[int] = field(factory=count)
    _watching: dict[str, tuple[Subscription, dict[SimulatedWorker, int]]] = field(factory=dict)
    _random: random.Random = field(factory=partial(random.Random, 7))

    def add_worker(self, index: int, at: float = 0.0) -> SimulatedWorker:
        """Add a worker that begins in `at` seconds."""
        token = make_token(index, self._random.getrandbits(64))
        identity = Identity(self.job.namespace, self.job.name, self.job.uid, self.job.run, token, self.lease_seconds)
        executor = LightExecutor(lambda: self.bench.now, self.seconds)
        worker = Worker(
            identity, executor, Dependencies(self.bench.store, self.bench.now_string), light_assigner(token)
        )

        lease = identity.lease_of(token)

        def life() -> Op[ExitReason]:
            job = yield from read_job_at_start(identity)
            if isinstance(job, ExitReason):
                return job
            yield from take(lease, token, self.now_string)
            self._wake(SimulatedWorker(token, renewals(), executor), 0.0, lambda: None)
            return (yield from worker.run())

        def renewals() -> Op[None]:
            alive = lambda: member.ended is None and not member.dead  # noqa: E731
            yield from keep_renewed(lease, token, self.lease_seconds, alive=alive, now_string=self.now_string)

        member = SimulatedWorker(token, life(), executor)
        self.workers.append(member)
        self._wake(member, at, lambda: None)
        return member

    def now_string(self) -> str:
        """Return a different string at every call."""
        return f"2026-01-01T00:00:00.{next(self._numbers):06d}Z"

    def run(self, seconds: float) -> None:
        """Let `seconds` of virtual time pass."""
        end = self.bench.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            due, _, member, turn = heapq.heappop(self._agenda)
            if turn == member.wait_number and not member.dead:
                self.bench.now = max(self.bench.now, due)
                self._step(member)
        self.bench.now = max(self.bench.now, end)

    def count_requests(self, verb: str = "", plural: str = "") -> int:
        """Return the number of requests with this verb and resource; an empty argument matches all."""
        return sum(
            number
            for (_, each_verb, each_plural), number in self.requests.items()
            if verb in ("", each_verb) and plural in ("", each_plural)
        )

    def max_requests_per_second(self) -> int:
        """Return the highest number of requests in one second."""
        by_second: Counter[int] = Counter()
        for (second, _, _), number in self.requests.items():
            by_second[second] += number
        return max(by_second.values(), default=0)

    def reset_counts(self) -> None:
        """Set the counts of requests to zero."""
        self.requests.clear()

    def _wake(self, member: SimulatedWorker, after: float, fetch: Callable[[], Any]) -> None:
        member.wait_number += 1
        member.fetch = fetch
        heapq.heappush(self._agenda, (self.bench.now + after, next(self._numbers), member, member.wait_number))

    def _step(self, member: SimulatedWorker) -> None:
        fetch, member.fetch = member.fetch, None
        answer = None if fetch is None else fetch()
        try:
            while True:
                effect = member.op.send(answer)
                if isinstance(effect, Now):
                    answer = self.bench.now
                elif isinstance(effect, Random):
                    answer = self._random.random()
                elif isinstance(effect, Do) and effect.what != WAIT and effect.what not in self.storage_seconds:
                    answer = effect.function()
                else:
                    self._wait(member, effect)
                    return
        except StopIteration as end:
            member.ended = end.value

    def _wait(self, member: SimulatedWorker, effect: Effect) -> None:
        match effect:
            case Request():
                answer = self._serve(effect)
                self._wake(member, RESPONSE_SECONDS, lambda: answer)
            case Watch():
                self._watch(member, effect)
            case Sleep(seconds):
                self._wake(member, seconds, lambda: None)
            case Do(function, what) if what in self.storage_seconds:
                self.storage_users.append(member)
                self._wake(member, self.storage_seconds[what], function)
            case Do(function):
                self._wake(member, member.executor.seconds_until_outcome(1.0), function)

    def _serve(self, request: Request) -> Answer:
        self.requests[int(self.bench.now), request.verb, request.resource.plural] += 1
        answer = self.bench.server.handle(request)
        if request.verb == "patch" and request.resource.plural == "mapreducetaskshards":
            self.deliver()
        return answer

    def deliver(self) -> None:
        """Send new events to the watches."""
        for selector, (subscription, watchers) in self._watching.items():
            events = subscription.poll()
            if events:
                self._watching[selector] = (subscription, {})
                for member, turn in watchers.items():
                    if member.wait_number == turn:
                        self._end_watch(member, events[0])

    def _watch(self, member: SimulatedWorker, watch: Watch) -> None:
        self.requests[int(self.bench.now), "watch", watch.resource.plural] += 1
        selector = watch.label_selector
        subscription = self._subscribe(watch, watch.resource_version)
        missed = subscription.poll()
        self.watches += 1
        self.max_watches = max(self.max_watches, self.watches)
        if missed:
            self._end_watch(member, missed[0])
            return
        if selector not in self._watching:
            self._watching[selector] = (self._subscribe(watch, str(self.bench.server.revision)), {})
        self._wake(member, watch.timeout, self._closed)
        self._watching[selector][1][member] = member.wait_number

    def _subscribe(self, watch: Watch, version: str) -> Subscription:
        found = self.bench.server.subscribe(watch.resource, watch.namespace, version, watch.label_selector)
        assert isinstance(found, Subscription), found
        return found

    def _end_watch(self, member: SimulatedWorker, event: Json) -> None:
        answer = WatchEvent(event["type"], event["object"])

        def fetch() -> WatchEvent:
            self._closed()
            return answer

        self._wake(member, RESPONSE_SECONDS, fetch)

    def _closed(self) -> None:
        self.watches -= 1
