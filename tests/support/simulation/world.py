"""The scheduler: virtual time, processes, and the network between them and the apiserver.

A process is one generator, sometimes with others that die with it (a worker's Lease keeper).  A step
carries out one effect of one process, chosen by the seed among those that are due.  Requests go to the
embedded apiserver's core; what the network does to them is drawn at each.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any

from attr import define, field

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.local.apiserver.core import ApiServer
from kubemr.locks.effects import Answer, Do, Effect, Json, Now, Op, Request, Sleep, Watch
from kubemr.locks.effects import Random as Draw
from kubemr.locks.threads import StoppedError
from kubemr.resources import crd
from kubemr.tasks.shard import SHARDS
from support.simulation import forms
from support.simulation.faults import Faults
from support.simulation.referee import Referee
from support.simulation.store import MemoryStore

LOOKS = 20
"""Steps between two looks at whether the run is finished."""
EPOCH = 1_767_225_600.0
"""2026-01-01: when virtual time begins, for people."""


class Stuck(AssertionError):
    """The run did not come to its end in the time that any run needs."""


@define(eq=False)
class Process:
    """One generator that the world steps."""

    name: str
    op: Op[Any]
    group: Group
    due: float
    answer: Any = None
    error: Exception | None = None
    started: bool = False


@define(eq=False)
class Group:
    """What dies together: a pod, an operator."""

    name: str
    ended: Callable[[object], None]
    """Called once, with the result of the group's first process, the exception that ended one, or None at a crash."""
    members: list[Process] = field(factory=list)
    frozen_until: float = 0.0
    alive: bool = True
    told: bool = True
    """It was told to end, or takes no such orders."""
    immune: bool = False
    """Part of the world, not of what is tested: it neither crashes nor freezes."""


@define(eq=False)
class World:
    """One run.  `seed` decides everything."""

    seed: int
    random: Random = field(init=False)
    drawn: Faults = field(init=False)
    now: float = field(default=0.0, init=False)
    kind_after: float = field(default=300.0, init=False)
    referee: Referee = field(factory=Referee, init=False)
    store: MemoryStore = field(init=False)
    server: ApiServer = field(init=False)
    history: list[str] = field(factory=list, init=False)
    met: Counter[str] = field(factory=Counter, init=False)
    """How often what `forms` has names for has happened."""
    rescaled: bool = field(default=False, init=False)
    """The number of workers was changed: they may share what was made for fewer, or no more what was made for many."""
    created_late: set[str] = field(factory=set, init=False)
    """Shards whose creation was long under way: one that was deleted meanwhile is there again, as it was at first."""
    steps: int = field(default=0, init=False)
    collect: bool = field(default=False, init=False)
    """Something was deleted since the garbage collector ran."""
    _processes: list[Process] = field(factory=list, init=False)
    _late: list[tuple[float, int, Request, Group]] = field(factory=list, init=False)
    _numbers: Iterator[int] = field(factory=count, init=False)

    def __attrs_post_init__(self) -> None:
        self.random = Random(self.seed)
        self.drawn = Faults.drawn(self.random)
        self.store = MemoryStore(self.referee, lambda: self.random.random() < self.faults.storage)
        self.server = new_server(self)

    @property
    def faults(self) -> Faults:
        """What may go wrong now: after `kind_after` virtual seconds nothing does, so that every run can end."""
        return self.drawn if self.now < self.kind_after else Faults()

    # -- processes -------------------------------------------------------------------------------------

    def start(
        self,
        name: str,
        ops: dict[str, Op[Any]],
        ended: Callable[[object], None],
        *,
        delay: float = 0.0,
        immune: bool = False,
        orderly: bool = False,
    ) -> Group:
        """Start a group of processes; the first of `ops` is the one whose result counts.

        An `orderly` one may be told to end: `StoppedError` is raised in its first process.
        """
        group = Group(name, ended, immune=immune, told=not orderly)
        for part, op in ops.items():
            process = Process(f"{name}.{part}", op, group, self.now + delay)
            group.members.append(process)
            self._processes.append(process)
        return group

    def kill(self, group: Group, result: object = None) -> None:
        """End all of a group at once, without any of its own clean-up being carried out."""
        if not group.alive:
            return
        group.alive = False
        for member in group.members:
            self._processes.remove(member)
            member.op.close()
        group.members.clear()
        self.note(f"{group.name} ended: {result!r}")
        group.ended(result)

    def run(self, finished: Callable[[], bool], *, steps: int = 400_000, seconds: float = 4000.0) -> None:
        """Step until `finished()`.  Raises `Stuck`, and whatever the referee finds."""
        while not finished():
            for _ in range(LOOKS):
                self.step()
            if self.collect:
                self.collect = False
                self.server.collect_garbage()
            if self.steps > steps or self.now > seconds:
                raise Stuck(f"not finished after {self.steps} steps and {self.now:.0f} virtual seconds")

    def step(self) -> None:
        """One effect of one process, or one late write."""
        self.steps += 1
        due = [process for process in self._processes if max(process.due, process.group.frozen_until) <= self.now]
        if not due:
            self._pass_time()
            return
        if self._late and self._late[0][0] <= self.now:
            self._serve_late()
            return
        self.now += self.random.random() * 0.02
        self._step(self.random.choice(due))

    def _pass_time(self) -> None:
        times = [max(process.due, process.group.frozen_until) for process in self._processes]
        times += [self._late[0][0]] if self._late else []
        if not times:
            raise Stuck("no process is left and the run is not finished")
        self.now = max(self.now, min(times)) + 1e-6
        if self._late and self._late[0][0] <= self.now:
            self._serve_late()

    def _step(self, process: Process) -> None:
        group = process.group
        faults = Faults() if group.immune else self.faults
        if self.random.random() < faults.crash:
            self.kill(group)
            return
        if self.random.random() < faults.freeze:
            group.frozen_until = self.now + self.random.uniform(5.0, 60.0)
            self.note(f"{group.name} frozen until {group.frozen_until:.1f}")
            return
        if process is group.members[0] and process.started and not group.told and self.random.random() < faults.stop:
            group.told = True
            process.error = StoppedError("told to end")
            self.note(f"{group.name} told to end")
        try:
            if not process.started:
                process.started = True
                effect = next(process.op)
            elif process.error is not None:
                error, process.error = process.error, None
                effect = process.op.throw(error)
            else:
                answer, process.answer = process.answer, None
                effect = process.op.send(answer)
        except StopIteration as end:
            self._finish(process, end.value)
            return
        except AssertionError:
            raise
        except Exception as error:
            self._finish(process, error)
            return
        self._perform(process, effect)

    def _finish(self, process: Process, result: object) -> None:
        """The first process's end, or any exception, ends the whole group."""
        group = process.group
        if process is group.members[0] or isinstance(result, Exception):
            self.kill(group, result)
        else:
            group.members.remove(process)
            self._processes.remove(process)

    # -- effects ---------------------------------------------------------------------------------------

    def _perform(self, process: Process, effect: Effect) -> None:
        match effect:
            case Request():
                process.answer = self._network(process, effect)
                process.due = self.now + self.random.random() * 0.05
            case Watch(timeout=timeout):
                process.due = self.now + self.random.random() * timeout
            case Sleep(seconds):
                process.due = self.now + seconds
            case Now():
                process.answer = self.now
            case Draw():
                process.answer = self.random.random()
            case Do(function=function, what=what):
                self.note(f"{process.name} does {what}")
                try:
                    process.answer = function()
                except AssertionError:
                    raise
                except Exception as error:
                    process.error = error
                process.due = self.now + self.random.random() * 0.02

    def _network(self, process: Process, request: Request) -> Answer:
        faults, write = self.faults, request.verb not in ("get", "list")
        draw = self.random.random
        if draw() < faults.refused:
            answer = Answer(0, error="connection refused", sent=False)
        elif draw() < faults.unavailable:
            answer = Answer(503, {"kind": "Status", "reason": "ServiceUnavailable", "message": "try again"})
        elif write and draw() < faults.late_write:
            when = self.now + self.random.uniform(0.0, 20.0)
            heapq.heappush(self._late, (when, next(self._numbers), request, process.group))
            self._met(forms.wanted(request), ", late")
            answer = Answer(0, error="timed out")
        elif draw() < faults.lost_answer:
            landed = self.serve(request).ok
            answer = Answer(0, error="connection reset")
            self._met(landed and forms.wanted(request), ", landed unheard")
        else:
            answer = self.serve(request)
        self.note(f"{process.name}: {_short(request)}: {answer.status} {answer.error}")
        return answer

    def _serve_late(self) -> None:
        _, _, request, sender = heapq.heappop(self._late)
        answer = self.serve(request, lives=sender.alive)
        if answer.ok and request.verb == "create" and request.resource == SHARDS:
            self.created_late.add(answer.body["metadata"]["name"])
        self.note(f"late: {_short(request)}: {answer.status}")

    def serve(self, request: Request, *, lives: bool = True) -> Answer:
        """Let the apiserver carry it out, under the referee's eyes; `lives` says whether its sender still does."""
        verb = request.verb if request.resource == SHARDS else ""
        before = self._tasks(request) if verb == "patch" else {}
        answer = self.server.handle(request)
        if verb == "patch" and answer.ok:
            self.referee.shard_changed(str(request.name), before, answer.body["tasks"], lives=lives)
            self._met(forms.changed(before, answer.body["tasks"]))
        elif verb == "patch" and answer.status == 422:
            self._met(forms.refused(request, before))
            if request.name not in self.created_late and not self.rescaled:
                self.referee.shard_kept(str(request.name), forms.values(request, "test"), before)
        elif verb == "create" and answer.ok:
            self.referee.shard_created(
                answer.body["metadata"]["name"], answer.body["tasks"], shared=self._shared(answer.body)
            )
            self._met(forms.retried(request))
        if request.verb in ("delete", "patch"):  # a patch may remove the last finalizer
            self.collect = True
        return answer

    def _shared(self, shard: Json) -> bool | None:
        """Whether the shard's stage has fewer shards than the job has workers; None where that may have changed."""
        if self.rescaled:
            return None
        label = shard["metadata"]["labels"][names.LABEL_STAGE]
        jobs = [JobView.of(each) for each in self.server.handle(Request("list", names.JOBS)).body["items"]]
        return next((stage.shards < job.replicas for job in jobs for stage in job.stages if stage.label == label), None)

    def _tasks(self, request: Request) -> dict[str, str]:
        answer = self.server.handle(Request("get", request.resource, request.namespace, request.name))
        return dict(answer.body["tasks"]) if answer.ok else {}

    def _met(self, what: str | bool, how: str = "") -> None:
        if what:
            self.met[f"{what}{how}"] += 1

    def note(self, line: str) -> None:
        """Write a line of the history."""
        self.history.append(f"{self.now:9.3f} {line}")


def new_server(world: World) -> ApiServer:
    """An apiserver whose clock and names come from the world."""
    numbers = count(1)
    return ApiServer(
        clock=lambda: EPOCH + world.now,
        uids=lambda: f"00000000-0000-4000-8000-{next(numbers):012d}",
        suffixes=lambda: f"{next(numbers):05d}",
        definitions=[crd("MapReduceJob"), crd("MapReduceTaskShard")],
        namespaces=("default", "kubemr"),
    )


def _short(request: Request) -> str:
    body: Json = request.body
    changes = ""
    if request.verb == "patch":
        changes = " " + ", ".join(f"{op['path']}={op.get('value')}" for op in body if op["op"] != "test")
    return f"{request.verb} {request.resource.plural}/{request.name or ''}{changes}"[:300]
