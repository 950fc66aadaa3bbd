"""One job of empty tasks from its creation to its last child's removal, with what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from coordination.server import Server, Spent, cpu_of, memory_of
from figures import ROOT
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import Json
from support.accounts import token_of
from support.daemon import Daemon
from support.faults.following import Following

NAMESPACE = "default"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
PATIENCE = 900.0


@frozen
class Ran:
    """When what happened, by one clock; CPU seconds, and what the servers spent over all of it."""

    tasks: int
    workers: int
    shards: int
    created: float
    deployed: float
    started: float
    """The workers' processes: what Kubernetes would do before is between this and `deployed`."""
    over: float
    """COMPLETE, as a watch tells."""
    removed: float
    """All children of the job."""
    all_of_it: Spent
    worker_cpu: float
    child_cpu: float
    operator_cpu: float
    worker_memory: float
    operator_memory: float
    claims: list[float]
    largest: int
    """Bytes of the largest object that there was at any time."""
    database: float

    @property
    def rate(self) -> float:
        """Tasks per second, from the start of the workers' processes to COMPLETE."""
        return self.tasks / (self.over - self.started)

    @property
    def rate_created(self) -> float:
        """The same from the job's creation: its deployment is in it."""
        return self.tasks / (self.over - self.created)

    @property
    def rate_removed(self) -> float:
        """The same from the job's creation until its last child is gone."""
        return self.tasks / (self.removed - self.created)


class Operator:
    """A real operator process."""

    def __init__(
        self, server: Server, folder: Path, shard_size: int = 0, environ: Mapping[str, str] | None = None
    ) -> None:
        self._folder = folder
        self.sized = {"BENCH_SHARD_SIZE": str(shard_size)} if shard_size else {}
        """For the environment of operator and workers, where shards are to have this size."""
        store = folder / "store"
        store.mkdir(parents=True, exist_ok=True)
        settings = {
            **os.environ,
            **self.sized,
            "KUBEMR_APISERVER": server.apiserver.url,
            "KUBEMR_APISERVER_TOKEN": server.apiserver.token,
            "KUBEMR_APISERVER_CA": str(server.apiserver.ca_file),
            "KUBEMR_STORAGE_URL": store.as_uri(),
            "KUBEMR_INPUTS_FROM": f"{folder.as_uri()}/",
        }
        settings.update(environ or {})
        command = [sys.executable, str(Path(__file__).with_name("sized.py"))]
        self.daemon = Daemon("operator", command, folder / "operator.log", settings)

    def manifest(self, tasks: int) -> str:
        """The address of a list of so many inputs.  They do not exist: the tasks do not look at them."""
        path = self._folder / f"inputs-{tasks}.txt"
        path.write_text("".join(f"file:///nowhere/{number}\t1\n" for number in range(tasks)))
        return path.as_uri()

    def stop(self) -> None:
        """End it."""
        self.daemon.stop()


def run_job(server: Server, operator: Operator, folder: Path, tasks: int, workers: int, seconds: float = 0.0) -> Ran:
    """Run a job of `tasks` tasks of `seconds` each by that many worker processes, and measure it."""
    api = server.apiserver
    name = f"bench-{tasks}-{time.monotonic_ns()}"
    before, operator_before, revision = server.spent(), cpu_of(operator.daemon.pid), server.revision()
    spec: dict[str, Any] = {
        "image": "none",
        "replicas": workers,
        "partitions": 0,
        "inputsFrom": [{"manifest": operator.manifest(tasks)}],
        "jobargs": {"seconds": f"{seconds:g}"},
    }
    job, deploy = deploy_job(server, name, spec)
    deployed = time.monotonic()
    notes = folder / name
    notes.mkdir(parents=True)
    started, over = _work(server, job, notes, workers, operator.sized)
    final = api.request("GET", names.JOBS.path(NAMESPACE, name)).body
    if final["status"]["phase"] != "COMPLETE":
        raise RuntimeError(f"the job did not complete: {json.dumps(final['status'])[:2000]}")
    until_removed(server, job)
    removed = time.monotonic()
    after = server.spent()
    seen = [json.loads(path.read_text()) for path in notes.glob("*.json")]
    return Ran(
        tasks=tasks,
        workers=workers,
        shards=job.stages[0].shards,
        created=deployed - deploy,
        deployed=deployed,
        started=started,
        over=over,
        removed=removed,
        all_of_it=after.since(before),
        worker_cpu=sum(each["cpu"] for each in seen),
        child_cpu=sum(each["child_cpu"] for each in seen),
        operator_cpu=cpu_of(operator.daemon.pid) - operator_before,
        worker_memory=max(each["memory"] + each["child_memory"] for each in seen),
        operator_memory=memory_of(operator.daemon.pid),
        claims=sorted(claim for each in seen for claim in each["claims"]),
        largest=server.largest_since(revision, NAMESPACE),
        database=server.database(),
    )


def until_removed(server: Server, job: JobView) -> None:
    """Wait until the last child of a job that is over has been removed: its ConfigMap."""
    api = server.apiserver
    settings = f"{CONFIG_MAPS}/{names.config_map(job.base)}"
    with Following(api, CONFIG_MAPS, fieldSelector=f"metadata.name={names.config_map(job.base)}") as following:
        # Asked for, too: before the first list, nothing is followed yet.
        following.wait(
            lambda found: not found and api.request("GET", settings).status == 404,
            "the job's children were not removed",
            PATIENCE,
        )


def _work(server: Server, job: JobView, notes: Path, workers: int, sized: dict[str, str]) -> tuple[float, float]:
    """Start the workers as their pods would be, and see them end; when they were started and when the job was over."""
    api = server.apiserver
    config = api.request("GET", f"{CONFIG_MAPS}/{names.config_map(job.base)}").body["data"]
    pods = [_pod(server, job, index) for index in range(workers)]
    environ = {
        **os.environ,
        **sized,
        **config,
        "KUBEMR_APISERVER": api.url,
        "KUBEMR_APISERVER_CA": str(api.ca_file),
        "BENCH_NOTES": str(notes),
    }
    program = str(Path(__file__).with_name("empty_worker.py"))
    began = time.monotonic()
    with open(notes / "workers.log", "wb") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, program],
                env={
                    **environ,
                    "KUBEMR_WORKER_INDEX": str(index),
                    "KUBEMR_APISERVER_TOKEN": _token(server, job, pods[index]),
                },
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )
            for index in range(workers)
        ]
    try:
        over = _over(server, job, processes)
        codes = [process.wait(PATIENCE) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    for pod in pods:
        api.request("DELETE", f"{PODS}/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})
    if any(codes):
        raise RuntimeError(f"workers ended with {codes}: {(notes / 'workers.log').read_text()[-4000:]}")
    return began, over


def _over(server: Server, job: JobView, processes: Sequence[subprocess.Popen[bytes]]) -> float:
    """The moment at which the job is over, or a worker has failed.

    By a watch: workers that have nothing to do learn of the end only when they look the next time.
    """

    def over(jobs: dict[str, Json]) -> bool:
        return any(process.poll() for process in processes) or any(JobView.of(each).final for each in jobs.values())

    selector = f"metadata.name={job.name}"
    with Following(server.apiserver, names.JOBS.path(NAMESPACE), fieldSelector=selector) as following:
        following.wait(over, f"the job {job.name} did not end", PATIENCE)
        return time.monotonic()


def _pod(server: Server, job: JobView, index: int) -> Json:
    """The pod of a worker, as Kubernetes would make it: the operator waits for its end, and tokens are bound to it."""
    body = {
        "metadata": {
            "name": f"{names.workers(job.base, 0)}-{index}-abcde",
            "labels": names.labels(job.uid, job.run),
        },
        "spec": {"serviceAccountName": names.account(job.base), "containers": [{"name": "worker", "image": "none"}]},
    }
    reply = server.apiserver.request("POST", PODS, body)
    if reply.status != 201:
        raise RuntimeError(f"the pod of worker {index} was refused: {reply.body}")
    return reply.body


def _token(server: Server, job: JobView, pod: Json) -> str:
    reference = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    request = {"spec": {"expirationSeconds": 3600, "boundObjectRef": reference}}
    return token_of(server.apiserver, NAMESPACE, names.account(job.base), request)


def deploy_job(server: Server, name: str, spec: Json) -> tuple[JobView, float]:
    """Create a job; it as it is when it is DEPLOYED, and the seconds until then."""
    api = server.apiserver
    body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": name}, "spec": spec}

    def deployed(jobs: dict[str, Json]) -> JobView | None:
        views = [JobView.of(each) for each in jobs.values()]
        for job in views:
            if job.phase == "FAIL":
                raise RuntimeError(f"the job failed: {job.document['status']['error']}")
        return next((job for job in views if job.phase == "DEPLOYED"), None)

    with Following(api, names.JOBS.path(NAMESPACE), fieldSelector=f"metadata.name={name}") as following:
        began = time.monotonic()
        created = api.request("POST", names.JOBS.path(NAMESPACE), body)
        if created.status != 201:
            raise RuntimeError(f"the job was refused: {created.body}")
        job = following.wait(deployed, f"the job {name} was not deployed", PATIENCE)
        return job, time.monotonic() - began
