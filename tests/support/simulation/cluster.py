"""Operators, workers and pods in the world, and one job that goes through it.

The Kubernetes Job controller and the kubelet are a few lines here: they keep one process per worker index
alive as long as the Kubernetes Job is there and the worker has not exited with success; when every index has, the
Kubernetes Job is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from attr import define, evolve, field

from kubemr.controller.inputs.access import Access
from kubemr.controller.reconcile.context import ReconcileContext, StorageSettings
from kubemr.controller.reconcile.objects.create import NameConflictError
from kubemr.controller.reconcile.reconciler import reconcile
from kubemr.controller.reconcile.shards.summary import ShardSummary, summary_of
from kubemr.controller.reconcile.workers.worker_job import end_reason
from kubemr.coordination import names
from kubemr.coordination.advance import Dependencies
from kubemr.coordination.kinds import CONFIG_MAPS, KUBERNETES_JOBS, PODS
from kubemr.locks.conditional import RequestRefusedError, Target
from kubemr.locks.effects import JSON_PATCH, Answer, Do, Json, Op, Random, Request, Resource, Sleep
from kubemr.locks.failure_detectors import LeaseDetector
from kubemr.locks.lease import LEASES, keep_renewed, release, take
from kubemr.locks.threads import StoppedError
from kubemr.tasks.shard import SHARDS
from kubemr.tasks.state import Token, make_token
from kubemr.worker.scheduling.identity import ExitReason, Identity
from kubemr.worker.scheduling.loop import Worker
from support.simulation.store import MemoryStore, StoreFailed
from support.simulation.user_code import SimulatedExecutor, UserCode, assign
from support.simulation.world import Group, World

NAMESPACE = "default"
JOB = "sim"
LEASE_SECONDS = 8.0
OPERATOR_NAMESPACE = "kubemr"
LAG = 60
"""Revisions that a cache may be behind."""


@define
class SimulatedSettings:
    """What an installation decides, in the world."""

    world: World
    lease_seconds: float = LEASE_SECONDS
    namespace: str = OPERATOR_NAMESPACE
    deletion_seconds: float = 600.0
    sweep_seconds: float = 300.0

    def storage(self, document: Json) -> StorageSettings:
        """Nothing that matters here."""
        return StorageSettings({"KUBEMR_STORAGE_URL": "memory://"}, {})

    def store(self, document: Json, keys: Mapping[str, str] = MappingProxyType({})) -> MemoryStore:
        """The world's store."""
        return self.world.store

    def access(self, document: Json, keys: Mapping[str, str] = MappingProxyType({})) -> Access:
        """Jobs in the world list their inputs themselves."""
        return Access({})

    def now_string(self) -> str:
        """Virtual wall-clock time."""
        return now_string(self.world)


@define
class StaleCache:
    """What an operator's informers show: the state at some earlier revision, which only moves forward."""

    world: World
    revision: int = 0

    def refresh(self) -> None:
        """Catch up, but not always, and not always all the way."""
        newest = self.world.server.revision
        self.revision = max(self.revision, newest - LAG)
        if self.world.random.random() < 0.8:
            self.revision = self.world.random.choice([newest, newest, self.world.random.randint(self.revision, newest)])

    def jobs(self) -> Sequence[Json]:
        """The jobs of all namespaces."""
        return self._list(Request("list", names.JOBS))

    def shards(self, uid: str) -> Sequence[ShardSummary]:
        """The job's shards."""
        found = self._list(Request("list", SHARDS, query={"labelSelector": f"{names.LABEL_UID}={uid}"}))
        return [summary_of(each) for each in found]

    def worker_jobs(self, uid: str) -> Sequence[Json]:
        """The job's Kubernetes Jobs."""
        return self._list(Request("list", KUBERNETES_JOBS, query={"labelSelector": f"{names.LABEL_UID}={uid}"}))

    def _list(self, request: Request) -> list[Json]:
        answer = self.world.server.stale_list(request, self.revision)
        return list(answer.body["items"])


@define(eq=False)
class Cluster:
    """One job, some operators, and the pods that come of it."""

    world: World
    operators: int
    processes: int = 0
    """How many worker processes were started."""
    _pods: dict[tuple[str, int], Group | None] = field(factory=dict)
    _succeeded: set[tuple[str, int]] = field(factory=set)
    endings: list[object] = field(factory=list)
    busy: Callable[[], bool] = lambda: False
    """Whether the user has not done all that the seed has in mind."""
    code: UserCode = field(factory=UserCode)
    tokens: set[str] = field(factory=set)

    def begin(self, spec: Json) -> None:
        """Create the job and start the operators and the node."""
        self.world.referee.bound = spec["maxAttempts"]
        self.create(spec)
        for number in range(self.operators):
            self._start_operator(number, 0)
        self.world.start("node", {"kubelet": self._node()}, self._node_ended, immune=True)

    def create(self, spec: Json) -> None:
        """Create the job, as its user does."""
        document = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": JOB, "namespace": NAMESPACE},
            "spec": spec,
        }
        answer = self.world.server.handle(Request("create", names.JOBS, NAMESPACE, body=document))
        assert answer.ok, answer

    @property
    def job(self) -> Json:
        """The job as it is, without any network in between."""
        answer = self.world.server.handle(Request("get", names.JOBS, NAMESPACE, JOB))
        return answer.body if answer.ok else None

    @property
    def over(self) -> bool:
        """The job has a final phase, and everything that served it is gone."""
        job = self.job
        if self.busy() or job is None or (job.get("status") or {}).get("phase") not in ("COMPLETE", "FAIL"):
            return False
        left = self.leftovers()
        if job["status"]["phase"] == "FAIL":  # Its shards are kept, for a retry.
            left = [each for each in left if not each.startswith(SHARDS.plural)]
        return not left and not any(self._pods.values())

    def leftovers(self) -> list[str]:
        """What still belongs to the job in the apiserver."""
        resources = (SHARDS, LEASES, CONFIG_MAPS, KUBERNETES_JOBS)
        return [
            f"{resource.plural}/{item['metadata']['name']}" for resource in resources for item in self.list(resource)
        ]

    def list(self, resource: Resource, selector: str = "") -> Sequence[Json]:
        """All objects of a kind, without any network in between."""
        query = {"labelSelector": selector} if selector else {}
        answer = self.world.server.handle(Request("list", resource, NAMESPACE, query=query))
        found: Sequence[Json] = answer.body["items"]
        return found

    # -- operators -------------------------------------------------------------------------------------

    def _start_operator(self, number: int, incarnation: int) -> None:
        identity = f"operator-{number}-{self.world.random.randrange(10**6):06d}"
        group = self.world.start(
            identity,
            {"reconcile": self._operator(identity), "lease": self._operator_lease(identity)},
            lambda _: self._start_operator(number, incarnation + 1),
            delay=self.world.random.uniform(0.0, 10.0) if incarnation else 0.0,
        )
        del group

    def _operator(self, identity: str) -> Op[None]:
        cache = StaleCache(self.world)
        judge = LeaseDetector(operator_lease, LEASE_SECONDS)
        operator = ReconcileContext(identity, SimulatedSettings(self.world), judge, cache)
        while True:
            yield Do(cache.refresh, "refresh cache")
            for document in cache.jobs():
                try:
                    yield from reconcile(document, operator)
                except (RequestRefusedError, NameConflictError, StoreFailed) as problem:
                    self.world.note(f"{identity}: reconcile failed: {problem}")
            yield Sleep(0.2 + (yield Random()))

    def _operator_lease(self, identity: str) -> Op[None]:
        target = operator_lease(identity)
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": target.name, "namespace": OPERATOR_NAMESPACE},
            "spec": {"leaseDurationSeconds": int(LEASE_SECONDS)},
        }
        answer: Answer = Answer(0)
        while not answer.ok and answer.status != 409:
            answer = yield Request("create", LEASES, OPERATOR_NAMESPACE, body=body)
            yield Sleep(0.1)
        clock = partial(now_string, self.world)
        yield from take(target, Token(identity), clock)
        yield from keep_renewed(target, Token(identity), LEASE_SECONDS, alive=lambda: True, now_string=clock)

    # -- pods ------------------------------------------------------------------------------------------

    def _node_ended(self, result: object) -> None:
        raise AssertionError(f"the node ended: {result!r}")

    def _node(self) -> Op[None]:
        while True:
            answer = self.world.server.handle(Request("list", KUBERNETES_JOBS, NAMESPACE))
            for item in answer.body["items"]:
                self._complete(item)
            wanted = {
                (item["metadata"]["uid"], index): item
                for item in answer.body["items"]
                if not item["metadata"].get("deletionTimestamp") and not item["spec"].get("suspend")
                for index in range(item["spec"]["parallelism"])
            }
            for key, pod in list(self._pods.items()):
                if key not in wanted:
                    del self._pods[key]
                    if pod is not None:
                        self.world.kill(pod, "pod deleted")
            for key, item in wanted.items():
                if self._pods.get(key) is None and key not in self._succeeded:
                    self._start_pod(key, item)
            yield Sleep(0.5 + (yield Random()))

    def _complete(self, item: Json) -> None:
        """Every index has succeeded: Kubernetes will start none of them again."""
        indexes = range(item["spec"]["completions"])
        if end_reason(item) is None and all((item["metadata"]["uid"], index) in self._succeeded for index in indexes):
            status = {"conditions": [{"type": "Complete", "status": "True", "message": "all indexes have succeeded"}]}
            request = Request(
                "patch", KUBERNETES_JOBS, item["metadata"]["namespace"], item["metadata"]["name"], "status"
            )
            body = [{"op": "add", "path": "/status", "value": status}]
            answer = self.world.server.handle(evolve(request, body=body, content_type=JSON_PATCH))
            assert answer.ok, answer

    def _start_pod(self, key: tuple[str, int], item: Json) -> None:
        owner = item["metadata"]["ownerReferences"][0]
        run = int(item["metadata"]["labels"][names.LABEL_RUN])
        token = self.new_token(key[1])
        identity = Identity(NAMESPACE, owner["name"], owner["uid"], run, token, LEASE_SECONDS)
        executor = SimulatedExecutor(
            self.world.store, self.world.random, lambda: self.world.faults, lambda: self.world.now, token, self.code
        )
        clock = partial(now_string, self.world)
        worker = Worker(identity, executor, Dependencies(self.world.store, clock, readers=1), assign(token))
        lease = identity.lease_of(token)
        held = [False]

        def life() -> Op[ExitReason]:
            yield from take(lease, token, clock)
            held[0] = True
            try:
                ending = yield from worker.run()
            except StoppedError:
                yield from worker.release_all()
                yield from release(lease, token)
                raise
            yield from release(lease, token)
            return ending

        def keeper() -> Op[None]:
            while not held[0]:
                yield Sleep(0.1)
            yield from keep_renewed(lease, token, LEASE_SECONDS, alive=lambda: True, now_string=clock)

        def over(result: object) -> None:
            self.endings.append(result)
            self.world.server.handle(Request("delete", PODS, NAMESPACE, f"pod-{token}"))
            if key in self._pods:
                self._pods[key] = None
            if isinstance(result, ExitReason):
                self._succeeded.add(key)

        self.processes += 1
        pod = {
            "metadata": {"name": f"pod-{token}", "labels": names.labels(owner["uid"], run)},
            "spec": {"containers": [{"name": "worker", "image": "simulated"}]},
        }
        assert self.world.server.handle(Request("create", PODS, NAMESPACE, body=pod)).ok
        self._pods[key] = self.world.start(token, {"loop": life(), "keeper": keeper()}, over, orderly=True)

    def new_token(self, index: int) -> Token:
        """A token that no process had before."""
        token = make_token(index, self.world.random.getrandbits(64))
        self.tokens.add(token)
        return token


def operator_lease(identity: str) -> Target:
    """The Lease of an operator."""
    return Target(LEASES, OPERATOR_NAMESPACE, f"kubemr-{identity}")


def now_string(world: World) -> str:
    """Virtual wall-clock time; every call gives another, as a heartbeat must change something."""
    micros = int(world.now * 1e6)
    seconds = micros // 1_000_000
    return (
        f"2026-01-01T{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{micros % 1_000_000:06d}Z"
    )
