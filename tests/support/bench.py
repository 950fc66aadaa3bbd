"""Run one operation at a time against the embedded apiserver's core, in virtual time, with faults of the test's choice.

The driver is the real one (`kubemr.locks.run`), and so is the server; a `Bench` is the connection between them.
Before a request is carried out, each of `before` may act, as another process would, or answer in the server's place.
After it, each of `after` may change the answer, e.g. lose it.
`crash_after` ends the process that sends the requests, as kill -9 would.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TypeVar

from attr import define, field

from kubemr.controller.inputs.access import Access
from kubemr.controller.reconcile.context import ReconcileContext, StorageSettings
from kubemr.controller.reconcile.objects import rbac
from kubemr.controller.reconcile.reconciler import reconcile
from kubemr.controller.reconcile.shards.summary import ShardSummary, summary_of
from kubemr.coordination import names
from kubemr.coordination.advance import Dependencies
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import KUBERNETES_JOBS, PODS
from kubemr.local.apiserver.core import ApiServer
from kubemr.local.apiserver.kubemr_server import definitions, rules
from kubemr.locks import Answer, Op, Request, Resource, Stop, run
from kubemr.locks.conditional import Target
from kubemr.locks.effects import JSON_PATCH, UNKNOWN, Json, Watch, WatchEvent
from kubemr.locks.failure_detectors import LeaseDetector
from kubemr.locks.lease import LEASES
from kubemr.storage.retry import Retrier
from kubemr.tasks import encoding
from kubemr.tasks.shard import SHARDS, Shard
from support.simulation.referee import Referee
from support.simulation.store import MemoryStore

T = TypeVar("T")

NAMESPACE = "default"
LEASE_SECONDS = 8.0
LOST_ANSWER = Answer(UNKNOWN, error="connection reset")
UNAVAILABLE = Answer(503, {"kind": "Status", "reason": "ServiceUnavailable", "message": "try again"})
DENIED = Answer(403, {"kind": "Status", "reason": "Forbidden", "message": "no"})
INVALID = Answer(
    422,
    {
        "kind": "Status",
        "reason": "Invalid",
        "message": "spec.template: Invalid value",
        "details": {"causes": [{"field": "spec.template"}]},
    },
)


class Crash(BaseException):
    """The process that sends the requests was killed."""


@define(eq=False)
class Bench:
    """A server, a store, a clock, and the connection to the one operation that runs."""

    now: float = 1000.0
    server: ApiServer = field(init=False)
    store: MemoryStore = field(init=False)
    requests: list[Request] = field(factory=list)
    """All requests that were carried out, or answered in the server's place, in order."""
    watches: list[Watch] = field(factory=list)
    slept: list[float] = field(factory=list)
    before: list[Callable[[Request], Answer | None]] = field(factory=list)
    after: list[Callable[[Request, Answer], Answer]] = field(factory=list)
    uniform: Callable[[], float] = lambda: 0.5
    lease_seconds: float = LEASE_SECONDS
    """The installation's setting."""
    storage_fails: bool = False
    on_sleep: Callable[[], object] = lambda: None
    watching: Callable[[Watch], WatchEvent | None] | None = None

    def __attrs_post_init__(self) -> None:
        numbers = itertools.count(1)
        self.server = ApiServer(
            clock=lambda: 1_767_225_600.0 + self.now,
            uids=lambda: f"00000000-0000-4000-8000-{next(numbers):012d}",
            suffixes=lambda: f"{next(numbers):05d}",
            definitions=definitions(),
            rules=rules(),
            namespaces=("default", "kubemr"),
        )
        self.store = MemoryStore(Referee(), lambda: self.storage_fails)

    # -- the driver's side: a `kubemr.locks.Transport`

    def send(self, request: Request) -> Answer:
        """Carry out one request, with the hooks of the test."""
        for hook in list(self.before):
            answer = hook(request)
            if answer is not None:
                self.requests.append(request)
                return answer
        answer = self.server.handle(request)
        self.requests.append(request)
        for change in list(self.after):
            answer = change(request, answer)
        return answer

    def wait(self, watch: Watch, stop: Stop | None = None) -> WatchEvent | None:
        """Return what `watching` returns; by default no event comes for the whole time."""
        self.watches.append(watch)
        if self.watching is not None:
            return self.watching(watch)
        self._sleep(watch.timeout)
        return None

    def run(self, op: Op[T], stop: Stop | None = None) -> T:
        """Run `op` to its end."""
        return run(op, self, clock=lambda: self.now, sleep=self._sleep, random=self.uniform, stop=stop)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.on_sleep()

    def now_string(self) -> str:
        """Return the wall clock, in whole seconds."""
        return datetime.fromtimestamp(1_767_225_600.0 + self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def micro_timestamp(self) -> str:
        """Return a new time at every call."""
        self.now += 0.001
        return datetime.fromtimestamp(1_767_225_600.0 + self.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    # -- faults

    def answer(self, matches: Callable[[Request], bool], *answers: Answer) -> None:
        """Answer the next matching requests in the server's place, one by one; then do nothing more."""
        left = list(answers)

        def hook(request: Request) -> Answer | None:
            return left.pop(0) if left and matches(request) else None

        self.before.append(hook)

    def lose(self, matches: Callable[[Request], bool], times: int = 1) -> None:
        """Carry out the next matching requests, but lose their answers."""
        left = [None] * times

        def change(request: Request, answer: Answer) -> Answer:
            if left and matches(request):
                left.pop()
                return LOST_ANSWER
            return answer

        self.after.append(change)

    def meanwhile(self, matches: Callable[[Request], bool], act: Callable[[], object]) -> None:
        """Let another process act just before the next matching request."""
        done: list[object] = []

        def hook(request: Request) -> Answer | None:
            if not done and matches(request):
                done.append(True)
                act()
            return None

        self.before.append(hook)

    def crash_after(self, op: Op[T], requests: int) -> bool:
        """Run `op` and end it after that many requests; return True if it ended before."""
        left = [requests]

        def change(request: Request, answer: Answer) -> Answer:
            left[0] -= 1
            if left[0] <= 0:
                raise Crash
            return answer

        self.after.append(change)
        try:
            self.run(op)
        except Crash:
            return False
        finally:
            self.after.remove(change)
        return True

    # -- what there is, without any wire in between

    def create(self, resource: Resource, body: Json, namespace: str = NAMESPACE) -> Json:
        """Create an object."""
        answer = self.server.handle(Request("create", resource, namespace, body=body))
        assert answer.ok, answer
        return answer.body

    def get(self, target: Target) -> Json:
        """Return the object, or None."""
        answer = self.server.handle(target.get())
        return answer.body if answer.ok else None

    def objects(self, resource: Resource, selector: str = "", namespace: str | None = None) -> list[Json]:
        """Return all objects of a kind."""
        query = {"labelSelector": selector} if selector else {}
        answer = self.server.handle(Request("list", resource, namespace, query=query))
        assert answer.ok, answer
        return list(answer.body["items"])

    def patch(self, target: Target, *operations: Json) -> Json:
        """Send a JSON Patch as another client."""
        request = Request(
            "patch",
            target.resource,
            target.namespace,
            target.name,
            target.subresource,
            body=list(operations),
            content_type=JSON_PATCH,
        )
        answer = self.server.handle(request)
        assert answer.ok, answer
        return answer.body

    def set(self, target: Target, path: str, value: Json) -> Json:
        """Set one member."""
        return self.patch(target, {"op": "add", "path": path, "value": value})

    def delete(self, target: Target) -> None:
        """Delete an object, and collect what it owned."""
        answer = self.server.handle(Request("delete", target.resource, target.namespace, target.name))
        assert answer.ok, answer
        self.server.collect_garbage()

    # -- jobs

    def submit(self, name: str = "words", **spec: Json) -> JobView:
        """Create a job as a user would."""
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name},
            "spec": {"image": "i", "inputs": ["a", "b"], "partitions": 2, "replicas": 2, **spec},
        }
        return JobView.of(self.create(names.JOBS, body))

    def job(self, name: str = "words") -> JobView:
        """Return the job as it is now."""
        return JobView.of(self.get(Target(names.JOBS, NAMESPACE, name)))

    def operator(self, identity: str = "op-a", *, alive: bool = True) -> ReconcileContext:
        """Return an operator whose caches are up to date; it holds its Lease if it is `alive`."""
        detector = LeaseDetector(operator_lease, LEASE_SECONDS)
        target = operator_lease(identity)
        if alive and self.get(target) is None:
            spec = {"holderIdentity": identity, "renewTime": "2026-01-01T00:00:00.000000Z"}
            self.create(LEASES, {"metadata": {"name": target.name}, "spec": spec}, "kubemr")
        return ReconcileContext(identity, BenchSettings(self, self.lease_seconds), detector, LiveCache(self))

    def step(self, operator: ReconcileContext, name: str = "words") -> float | None:
        """Reconcile the job once, and return when to do it again."""
        document = self.get(Target(names.JOBS, NAMESPACE, name))
        return self.run(reconcile(document, operator)).requeue_after

    def deployed(self, operator: ReconcileContext | None = None, name: str = "words", **spec: Json) -> JobView:
        """Create a job and bring it to DEPLOYED."""
        self.submit(name, **spec)
        operator = operator or self.operator()
        for _ in range(3):
            self.step(operator, name)
        job = self.job(name)
        assert job.phase == "DEPLOYED", job
        return job

    def shard(self, job: JobView, position: int = 0, number: int = 0) -> Shard:
        """Return a shard of the job's stage at that position."""
        target = Target(SHARDS, NAMESPACE, job.shard_name(job.stages[position], number))
        return Shard.parse(self.get(target))

    def write_tasks(self, job: JobView, states: Mapping[int, str], position: int = 0, number: int = 0) -> Shard:
        """Set tasks of a shard to these states, without any check."""
        target = self.shard(job, position, number).target
        self.set(target, "/tasks", encoding.expand({**encoding.texts(self.get(target)["tasks"]), **states}))
        return self.shard(job, position, number)

    def hold_lease(self, job: JobView, index: int, token: str) -> Target:
        """Make a worker the holder of its Lease."""
        target = job.lease_of(index)
        self.set(target, "/spec/holderIdentity", token)
        self.set(target, "/spec/leaseTransitions", 1)
        self.set(target, "/spec/renewTime", self.micro_timestamp())
        return target

    @property
    def dependencies(self) -> Dependencies:
        """The store and the clock."""
        return Dependencies(self.store, self.now_string)

    def events(self) -> list[tuple[str, str]]:
        """Return reason and message of all Events, in their order."""
        found = self.objects(Resource("", "v1", "events"))
        found.sort(key=lambda item: int(item["metadata"]["resourceVersion"]))
        return [(item["reason"], item["message"]) for item in found]

    def everything(self) -> dict[str, Json]:
        """Return all children of jobs by kind and name, without what differs from one creation to the next."""
        found: dict[str, Json] = {}
        resources = (SHARDS, LEASES, KUBERNETES_JOBS, Resource("", "v1", "configmaps"), Resource("", "v1", "secrets"))
        for resource in (*resources, PODS, *rbac.KINDS):
            for item in self.objects(resource, namespace=NAMESPACE):
                metadata = {key: item["metadata"].get(key) for key in ("labels", "ownerReferences")}
                text = json.dumps({**item, "metadata": metadata}).replace(item["metadata"]["uid"], "its own uid")
                found[f"{resource.plural}/{item['metadata']['name']}"] = json.loads(text)
        return found


def operator_lease(identity: str) -> Target:
    """Return where an operator's Lease is."""
    return Target(LEASES, "kubemr", f"kubemr-{identity}")


@define
class BenchSettings:
    """The settings of an installation; `problem` is what is wrong with its storage settings."""

    bench: Bench
    lease_seconds: float = LEASE_SECONDS
    namespace: str = "kubemr"
    deletion_seconds: float = 600.0
    sweep_seconds: float = 300.0
    secret: Mapping[str, str] = field(factory=dict)
    problem: str = ""
    own_identity: bool = False
    allowed: tuple[str, ...] = ("*",)
    """The addresses below which the operator may read inputs."""
    opened_with: list[Mapping[str, str]] = field(factory=list)
    """The keys with which the store was opened, each time."""

    def storage(self, document: Json) -> StorageSettings:
        """Return the bench's store."""
        if self.problem:
            raise ValueError(self.problem)
        named = (document["spec"].get("storage") or {}).get("s3") or {}
        reference = (named.get("secretRef") or {}).get("name", "")
        config = {"KUBEMR_STORAGE_URL": "memory://"}
        return StorageSettings(config, self.secret, reference, own_identity=self.own_identity)

    def store(self, document: Json, keys: Mapping[str, str] = MappingProxyType({})) -> MemoryStore:
        """Return the bench's store."""
        self.storage(document)
        self.opened_with.append(keys)
        return self.bench.store

    def access(self, document: Json, keys: Mapping[str, str] = MappingProxyType({})) -> Access:
        """Return access to everything in `allowed`."""
        self.opened_with.append(keys)
        return Access({}, allowed=self.allowed, retrier=Retrier(attempts=1))

    def now_string(self) -> str:
        """Return the bench's wall clock."""
        return self.bench.now_string()


@define
class LiveCache:
    """A cache that has what the server has, or had at some `revision`."""

    bench: Bench
    revision: int | None = None

    def shards(self, uid: str) -> list[ShardSummary]:
        """Return the job's shards."""
        return [summary_of(each) for each in self._list(SHARDS, uid)]

    def worker_jobs(self, uid: str) -> list[Json]:
        """Return the job's Kubernetes Jobs."""
        return self._list(KUBERNETES_JOBS, uid)

    def _list(self, resource: Resource, uid: str) -> list[Json]:
        server = self.bench.server
        request = Request("list", resource, query={"labelSelector": f"{names.LABEL_UID}={uid}"})
        answer = server.stale_list(request, server.revision if self.revision is None else self.revision)
        return list(answer.body["items"])


def patches(plural: str) -> Callable[[Request], bool]:
    """Match patches of a kind."""
    return lambda request: request.verb == "patch" and request.resource.plural == plural


def asks(verb: str, plural: str) -> Callable[[Request], bool]:
    """Match one verb on a kind."""
    return lambda request: request.verb == verb and request.resource.plural == plural
