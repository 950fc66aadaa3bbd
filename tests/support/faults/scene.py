"""A job under way on a cluster that may be broken: its tasks as they are and were, its workers, its end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import urlsplit

from kubemr.coordination import names
from kubemr.coordination.outputs import OUTPUTS
from kubemr.tasks import encoding
from kubemr.tasks.state import TaskState, Token, attempt_of, parse_token
from support.cluster import Cluster
from support.cluster_access import KubectlError
from support.cluster_inventory import until_nothing
from support.cluster_kubemr import Job, Kubemr
from support.cluster_node import Node
from support.faults.following import Following
from support.faults.processes import PodProcess, pod_processes
from support.faults.program import BEGUN, GATES, PARTITIONS, TASKS, Gate, gate_of

PATIENCE = 120.0
"""Seconds that anything may take on a busy machine."""

GROUP = "/apis/turbobytes.com/v1alpha1/namespaces"
Task = tuple[str, int]
"""A task's stage (`0-map`) and number."""
Found = TypeVar("Found")


@dataclass
class History:
    """Every state that each task was seen in, in order."""

    states: dict[Task, list[TaskState]] = field(default_factory=dict)
    committed_at: dict[Task, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, shard: Any) -> None:
        """A shard has changed."""
        stage = shard["metadata"]["labels"][names.LABEL_STAGE]
        with self._lock:
            for number, text in encoding.texts(shard["tasks"]).items():
                seen = self.states.setdefault((stage, number), [])
                state = TaskState.parse(text)
                if not seen or seen[-1] != state:
                    seen.append(state)
                    if state.committed:
                        self.committed_at.setdefault((stage, number), time.monotonic())

    def latest(self) -> dict[Task, TaskState]:
        """Each task's last state."""
        with self._lock:
            return {task: seen[-1] for task, seen in self.states.items()}

    def lost_by(self, token: Token) -> dict[Task, TaskState]:
        """What `token` held when it was taken for dead, as it was then.

        What it had committed by then is not among it: such a patch may have been under way when a fault struck.
        """
        with self._lock:
            return {
                task: before
                for task, seen in self.states.items()
                for before, after in pairwise(seen)
                if before.held_by(token) and not after.held_by(token) and after.losses > before.losses
            }


class Scene:
    """One job from its creation on.  `draw` decides when and whom a fault strikes.

    `lasting` is the map task that ends no sooner than the test lets it: whoever is at it when the fault strikes cannot
    have sent its commit, so it is this task of which the test says what the fault has done.
    """

    def __init__(
        self, cluster: Cluster, kubemr: Kubemr, job: Job, draw: random.Random, lasting: int | None = None
    ) -> None:
        self.cluster, self.kubemr, self.job, self.draw = cluster, kubemr, job, draw
        self._lasting = lasting
        self.history = History()
        apiserver, uid = cluster.plane.apiserver, job.view.uid
        ours = names.selector(uid)
        shards, jobs = f"{GROUP}/{job.namespace}/mapreducetaskshards", f"{GROUP}/{job.namespace}/mapreducejobs"
        self.shards = Following(apiserver, shards, self.history.note, labelSelector=ours)
        self.document = Following(apiserver, jobs, fieldSelector=f"metadata.name={job.name}")
        self.began = time.monotonic()
        self.struck_at = 0.0
        self.struck_done = 0
        self.back_at = 0.0
        self.recovered_at = 0.0
        self.ended_at = 0.0
        self._results: list[bytes] | None = None

    # -- what is

    @property
    def status(self) -> Any:
        """The job's status as it was last seen."""
        return (self.document.objects.get(self.job.name) or {}).get("status") or {}

    @property
    def done(self) -> int:
        """How many tasks are committed, of both stages."""
        return sum(state.committed for state in self.history.latest().values())

    def wait(self, found: Callable[[], Found | None], what: str, seconds: float = PATIENCE) -> Found:
        """What `found` finds, asked with each change of a task."""

        ended: list[float] = []

        def checked(_: object) -> Found | None:
            answer = found()
            phase = self.status.get("phase")
            if not answer and phase in ("COMPLETE", "FAIL"):
                ended.append(time.monotonic())
                # The last tasks may be told of a moment later than the phase.
                late = time.monotonic() - ended[0] > 5
                assert not late, f"{what}: not before the job's end, {phase} {self.status.get('error', '')}"
            return answer

        return self.shards.wait(checked, what, seconds)

    @property
    def lasting(self) -> Task:
        """The task that waits for `let_go`."""
        assert self._lasting is not None, "the stage has no task that lasts: stage(…, lasting=True)"
        return "0-map", self._lasting

    @property
    def fate(self) -> TaskState:
        """How that task is now."""
        return self.history.latest()[self.lasting]

    def until_done(self, tasks: int) -> None:
        """Wait until so many tasks are committed."""
        self.wait(lambda: self.done >= tasks, f"{tasks} tasks done")

    # -- the fault

    def moment(self, first: int = 6, last: int = TASKS * 2 // 3) -> None:
        """Wait for the moment at which the fault is to strike, drawn from all between `first` and `last` tasks done."""
        self.until_done(self.draw.randint(first, last))

    @contextmanager
    def without(self, program: str) -> Iterator[None]:
        """In the block, a program of the control plane or S3 is away: kill -9 before, started again after it."""
        self.cluster.kill(program)
        try:
            yield
        finally:
            self.back_at = time.monotonic()
            self.cluster.revive(program)

    def pause(self, seconds: float) -> None:
        """Let time pass: where a fault *is* so long an absence, there is nothing else to wait for."""
        threading.Event().wait(seconds)

    def struck(self) -> None:
        """The fault strikes now; recovery counts from here."""
        self.struck_at, self.struck_done = time.monotonic(), self.done

    def over(self) -> None:
        """Recovery counts from when the program that was away was started again."""
        self.struck_at = self.back_at

    def recovered(self) -> None:
        """What the fault has done is made good now."""
        self.recovered_at = time.monotonic()

    def until_committed(self, tasks: list[Task]) -> None:
        """Wait until all of `tasks` are committed, by whomever: then the fault is made good."""
        self.wait(lambda: all(self.history.latest()[task].committed for task in tasks), f"{tasks} committed")
        self.recovered_at = max([self.struck_at, *(self.history.committed_at[task] for task in tasks)])

    def taken_over(self, victim: Victim) -> dict[Task, TaskState]:
        """Wait until the victim is taken for dead; its attempts, the one at the lasting task among them."""

        def lost() -> dict[Task, TaskState] | None:
            found = self.history.lost_by(victim.token)
            return found if self.lasting in found else None

        return self.wait(lost, f"{self.lasting} taken from {victim.token}")

    def until_progress(self) -> None:
        """Wait for the first task that is committed after all programs are back: then the fault is made good."""

        def first() -> float | None:
            return min((at for at in self.history.committed_at.values() if at > self.back_at), default=None)

        self.recovered_at = self.wait(first, "another task done")

    # -- the workers

    def held(self, token: Token | None = None) -> dict[Task, Token]:
        """The running tasks, each with its first holder; only those of `token`, if given."""
        latest = self.history.latest()
        running = {task: state.holders[0] for task, state in latest.items() if state.name == "running"}
        return {task: holder for task, holder in running.items() if token is None or holder == token}

    def victim(self, *, spare: frozenset[Task] = frozenset(), node: str = "") -> Victim:
        """A worker that holds a task now, none of `spare`, drawn from those (on `node`).

        Where a task lasts it is the one that is at it.
        """

        # Asked before, and once: while kubectl answers, a worker may be done with all that it held.
        pods = {_index_of(pod): pod for pod in self.pods() if _lives(pod) and node in ("", pod["spec"]["nodeName"])}
        assert pods, f"no worker is on {node}: {[pod['spec'].get('nodeName') for pod in self.pods()]}"

        def choose() -> Victim | None:
            held = self.held()
            tokens = set(held.values()) - {held[task] for task in spare if task in held}
            if self._lasting is not None:
                tokens &= {token for task, token in held.items() if task == self.lasting and self.begun(token)}
            there = sorted(token for token in tokens if parse_token(token)[0] in pods)
            if not there:
                return None
            token = self.draw.choice(there)
            return Victim(self, token, pods[parse_token(token)[0]])

        return self.wait(choose, "a worker that holds a task")

    def pods(self) -> list[Any]:
        """The pods of the workers."""
        return self.job.children("pods")

    def node_of(self, pod: Any) -> Node:
        """Where it runs."""
        return next(node for node in self.cluster.nodes if node.site.name == pod["spec"]["nodeName"])

    def logs(self) -> str:
        """What its pods, as far as they are still there, have logged."""
        said = []
        for node in self.cluster.nodes:
            folder = node.site.folder / "node" / "var-log" / "pods"
            for log in sorted(folder.glob(f"{self.job.namespace}_{self.job.view.base}*/*/*.log")):
                said.append(f"--- {log.parent.parent.name}\n{log.read_text(errors='replace')[-4000:]}")
        return "\n".join(said)

    # -- the end

    def open_gate(self, gate: Gate = "job") -> None:
        """Let the first task go on."""
        self.kubemr.store.put_object(self.kubemr.bucket, f"kubemr/{gate_of(self.job.name, gate)}", BytesIO(b"open"), 4)

    def let_go(self) -> None:
        """Let the lasting task go on, in every attempt."""
        self.open_gate("victim")

    def begun(self, token: Token) -> bool:
        """Whether the attempt of `token` at the lasting task waits for its gate, or did."""
        return self._has(self.fate, token, BEGUN)

    def stored(self, state: TaskState, token: Token) -> bool:
        """Whether the attempt of `token` at the lasting task, then `state`, has stored its outputs.

        It is about to commit then, or did.
        """
        return self._has(state, token, OUTPUTS)

    def _has(self, state: TaskState, token: Token, name: str) -> bool:
        stage, number = self.lasting
        step, _, kind = stage.partition("-")
        attempt = attempt_of(state.epoch, token)
        prefix = names.attempt_prefix(self.job.view.storage_prefix, int(step), kind, number, attempt)
        return any(self.kubemr.store.list_objects(self.kubemr.bucket, prefix=f"kubemr/{prefix}{name}"))

    def complete(self) -> list[bytes]:
        """Wait for the job's end; the contents of its results, in order, as they were when this was asked first."""
        if self._results is None:
            self._results = self._read_results()
        return self._results

    def _read_results(self) -> list[bytes]:
        def ended(objects: Any) -> Any:
            status = (objects.get(self.job.name) or {}).get("status") or {}
            return status if status.get("phase") in ("COMPLETE", "FAIL") else None

        status = self.document.wait(ended, "the job's end", PATIENCE)
        self.ended_at = time.monotonic()
        assert status["phase"] == "COMPLETE", status.get("error")
        assert status["resultCount"] == PARTITIONS
        return [self.job.read(address) for address in status["results"]]

    def nothing_lost(self) -> None:
        """The fault changes nothing: the job ends, and no attempt was lost or has failed."""
        self.recovered_at = self.recovered_at or self.struck_at
        self.complete()
        assert (self.counted("losses"), self.counted("failures")) == (0, 0)

    def counted(self, what: str) -> int:
        """The sum of the tasks' `losses` or `failures`."""
        return sum(max(getattr(state, what) for state in seen) for seen in self.history.states.values())

    def gone(self) -> None:
        """Delete the job and see that nothing of it is left: no object, no key, no process."""
        self.job.delete(seconds=PATIENCE)
        mine = {"KUBEMR_JOB_UID": self.job.view.uid}
        until_nothing(lambda: [f"{each.pid} {each.command}" for each in pod_processes(self.cluster.nodes, **mine)])


class Victim:
    """The worker `token` and its pod, as they were when it was chosen."""

    def __init__(self, scene: Scene, token: Token, pod: Any) -> None:
        self.scene, self.token, self.pod = scene, token, pod
        self.index = parse_token(token)[0]

    @property
    def node(self) -> Node:
        """Where it runs."""
        return self.scene.node_of(self.pod)

    @property
    def address(self) -> str:
        """The pod's, as soon as its kubelet has told it."""
        name = self.pod["metadata"]["name"]
        self.scene.job.kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.podIP}", f"--timeout={PATIENCE}s")
        return self.scene.job.kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}")

    @property
    def tasks(self) -> list[Task]:
        """What it holds now."""
        return list(self.scene.held(self.token))

    def renewed(self) -> str:
        """The time that its Lease shows."""
        return self._lease("renewTime")

    def holds_lease(self) -> bool:
        """Whether it, and no process after it, is worker `index`."""
        return self._lease("holderIdentity") == self.token

    def processes(self, *, child: bool | None = None) -> list[PodProcess]:
        """Its processes; of the two kinds the runtime's or the user code's, if asked."""
        mine = {"KUBEMR_JOB_UID": self.scene.job.view.uid, "JOB_COMPLETION_INDEX": str(self.index)}
        found = [each for each in pod_processes([self.node], **mine) if "python" in each.command]
        return [each for each in found if child is None or each.is_child == child]

    def _lease(self, what: str) -> str:
        lease = f"{self.scene.job.view.base}-w-{self.index}"
        return self.scene.job.kubectl("get", "lease", lease, "-o", f"jsonpath={{.spec.{what}}}")


def _index_of(pod: Any) -> int:
    return int(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])


def _lives(pod: Any) -> bool:
    """Whether it may run: of one that does, its kubelet may say so ten seconds later."""
    on_its_way = pod["status"].get("phase") in ("Pending", "Running") and "nodeName" in pod["spec"]
    return on_its_way and not pod["metadata"].get("deletionTimestamp")


@contextmanager
def scene(
    cluster: Cluster, kubemr: Kubemr, namespace: str, manifest: Any, draw: random.Random, lasting: int | None = None
) -> Iterator[Scene]:
    """Create the job and follow it."""
    job = kubemr.submit(namespace, manifest)
    made = Scene(cluster, kubemr, job, draw, lasting)
    with made.shards, made.document:
        try:
            yield made
        except BaseException as error:
            error.add_note(made.logs())
            try:
                job.kubectl("delete", "mrj", job.name, "--ignore-not-found", "--wait=false")
            except KubectlError as problem:
                error.add_note(f"the job stays: {problem}")
            raise
        finally:
            for gate in GATES:
                kubemr.store.remove_object(kubemr.bucket, f"kubemr/{gate_of(job.name, gate)}")


def server_of(url: str) -> str:
    """`10.199.0.1:6443` of an address."""
    return urlsplit(url).netloc
