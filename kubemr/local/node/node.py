"""Run the pods of Indexed Jobs as local processes, and write what becomes of them to the apiserver.

One thread owns all state.  The other threads only put events into its queue: two watch Jobs and Pods, one waits for
each process.  Nothing is restored after a crash, because the apiserver and all processes end with this process.
"""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from attrs import define, frozen

from kubemr.coordination.kinds import KUBERNETES_JOBS, PODS
from kubemr.coordination.timestamps import timestamp
from kubemr.local.container_process import LocalProcess
from kubemr.local.list_watch import Changed, Listed, follow
from kubemr.local.node.container_env import ContainerConfigError, command, environment
from kubemr.local.node.indexed_job import IndexedJob
from kubemr.local.node.pod import START_ERROR, container_of, new_pod, running, terminated
from kubemr.local.output_log import OutputLog
from kubemr.locks.config import Server
from kubemr.locks.effects import MERGE_PATCH, Answer, Json, Request, Resource
from kubemr.locks.http import HttpTransport
from kubemr.locks.threads import Stop

POD_GRACE_SECONDS: Final = 2.0
"""The time between SIGTERM and SIGKILL."""


class NodeError(Exception):
    """The apiserver rejected a request of the node."""


@define
class _Pod:
    document: Json
    job: str
    index: int
    directory: Path
    process: LocalProcess | None = None
    deleted: bool = False


@frozen
class _JobsChanged:
    event: Listed | Changed


@frozen
class _PodsChanged:
    event: Listed | Changed


@frozen
class _ProcessEnded:
    """A process has ended."""

    pod: str
    code: int
    message: str


@frozen
class _ThreadFailed:
    """A thread of the node has failed."""

    error: Exception


class _Shutdown:
    """End all processes, then the loop."""


_NodeEvent = _JobsChanged | _PodsChanged | _ProcessEnded | _ThreadFailed | _Shutdown


class Node:
    """Runs the pods of all Indexed Jobs of one apiserver as local processes.

    - `environ`: the variables of every process, besides its pod's own
    - `directory`: the folder for the processes' working files
    - `on_failure`: called in the node's thread if the node cannot continue
    """

    def __init__(
        self,
        server: Server,
        directory: Path,
        environ: Mapping[str, str],
        output_log: OutputLog,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._server = server
        self._directory = directory
        self._environ = environ
        self._output_log = output_log
        self._on_failure = on_failure
        self._transport = HttpTransport(server)
        self._events: queue.SimpleQueue[_NodeEvent] = queue.SimpleQueue()
        self._stop = Stop()
        self._jobs: dict[str, IndexedJob] = {}
        self._pods: dict[str, _Pod] = {}
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name="node", daemon=True),
            threading.Thread(target=self._follow, args=(KUBERNETES_JOBS, _JobsChanged), name="node-jobs", daemon=True),
            threading.Thread(target=self._follow, args=(PODS, _PodsChanged), name="node-pods", daemon=True),
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all processes, by SIGTERM first, and return when they have ended."""
        self._events.put(_Shutdown())
        self._threads[0].join()
        self._stop.set()
        for thread in self._threads[1:]:
            thread.join()
        self._transport.close()

    def kill(self) -> None:
        """Send SIGKILL to all processes, so that `stop` need not wait.  Any thread may call it."""
        for pod in list(self._pods.values()):
            if pod.process is not None:
                pod.process.kill()

    def _follow(self, resource: Resource, wrap: Callable[[Listed | Changed], _NodeEvent]) -> None:
        try:
            for event in follow(self._server, resource, None, self._stop):
                self._events.put(wrap(event))
        except Exception as error:
            self._events.put(_ThreadFailed(error))

    def _run(self) -> None:
        try:
            while not (self._stopping and not self._pods):
                self._wait_and_handle()
        except Exception as error:
            self._on_failure(error)
        finally:
            for pod in self._pods.values():
                if pod.process is not None:
                    pod.process.kill()
                    pod.process.join()

    def _wait_and_handle(self) -> None:
        moments = [moment for job in self._jobs.values() if (moment := job.next_due()) is not None]
        timeout = None if self._stopping or not moments else max(min(moments) - time.monotonic(), 0.0)
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            pass
        else:
            self._handle(event)
        if not self._stopping:
            for job in list(self._jobs.values()):
                self._start_due(job)

    def _handle(self, event: _NodeEvent) -> None:
        match event:
            case _JobsChanged(Listed(items)):
                known = {item["metadata"]["uid"] for item in items}
                for uid in self._jobs.keys() - known:
                    self._jobs.pop(uid).deleted = True
                for item in items:
                    self._track_job(item)
            case _JobsChanged(Changed("DELETED", document)):
                gone = self._jobs.pop(document["metadata"]["uid"], None)
                if gone is not None:
                    gone.deleted = True
            case _JobsChanged(Changed(_, document)):
                self._track_job(document)
            case _PodsChanged(Listed(items)):
                for item in items:
                    self._handle_pod(item)
                for uid in self._pods.keys() - {item["metadata"]["uid"] for item in items}:
                    self._check_pod(uid)
            case _PodsChanged(Changed("DELETED", document)):
                self._end_pod(document["metadata"]["uid"])
            case _PodsChanged(Changed(_, document)):
                self._handle_pod(document)
            case _ProcessEnded():
                self._process_ended(event)
            case _ThreadFailed(error):
                raise error
            case _Shutdown():
                self._stopping = True
                for pod in self._pods.values():
                    if pod.process is not None:
                        pod.process.terminate(POD_GRACE_SECONDS)

    def _track_job(self, document: Json) -> None:
        uid = document["metadata"]["uid"]
        if document["spec"].get("completionMode") != "Indexed":
            return
        if uid not in self._jobs:
            self._jobs[uid] = IndexedJob(document)
        elif _version(document) > _version(self._jobs[uid].document):
            self._update_job(self._jobs[uid], document)
        if document["metadata"].get("deletionTimestamp"):
            self._jobs[uid].deleted = True

    def _update_job(self, job: IndexedJob, document: Json) -> None:
        """Take over a change of its size or of `suspend`: surplus pods are deleted, as Kubernetes does."""
        was_over = job.over
        job.update(document, time.monotonic())
        for index in job.surplus:
            for uid, pod in self._pods.items():
                if pod.job == document["metadata"]["uid"] and pod.index == index:
                    self._end_pod(uid)
        if job.over and not was_over:
            self._report_status(job)

    def _handle_pod(self, document: Json) -> None:
        if document["metadata"].get("deletionTimestamp"):
            self._end_pod(document["metadata"]["uid"])

    def _check_pod(self, uid: str) -> None:
        """End a pod that a list does not contain, unless the list is older than the pod."""
        metadata = self._pods[uid].document["metadata"]
        stored = self._read(metadata["namespace"], PODS, metadata["name"])
        if stored is None or stored["metadata"]["uid"] != uid:
            self._end_pod(uid)

    def _end_pod(self, uid: str) -> None:
        """End the process of a deleted pod.  The Pod object is removed when the process has ended."""
        pod = self._pods.get(uid)
        if pod is not None and not pod.deleted:
            pod.deleted = True
            if pod.process is not None:
                pod.process.terminate(POD_GRACE_SECONDS)

    def _start_due(self, job: IndexedJob) -> None:
        ready = job.ready(time.monotonic())
        for index in ready:
            self._start_pod(job, index)
        if ready and not job.deleted:
            self._report_status(job)

    def _start_pod(self, job: IndexedJob, index: int) -> None:
        body = new_pod(job.document, index)
        namespace = body["metadata"]["namespace"]
        answer = self._transport.send(Request("create", PODS, namespace, body=body))
        if not answer.ok:
            raise NodeError(f"creating a pod for index {index} of {job.document['metadata']['name']}: {answer.message}")
        document = answer.body
        uid, name = document["metadata"]["uid"], document["metadata"]["name"]
        pod = _Pod(document, job.document["metadata"]["uid"], index, self._directory / name)
        self._pods[uid] = pod
        job.pod_started(index, name)
        try:
            pod.process = self._launch(pod)
        except (OSError, ContainerConfigError) as error:
            message = f"cannot start the worker: {error}"
            self._output_log.add(f"worker {index}", message)
            self._events.put(_ProcessEnded(uid, START_ERROR, message))
            return
        self._write_status(pod, running())

    def _launch(self, pod: _Pod) -> LocalProcess:
        uid = pod.document["metadata"]["uid"]
        container = container_of(pod.document)
        own = environment(container, pod.document, partial(self._read, pod.document["metadata"]["namespace"]))
        pod.directory.mkdir()
        environ = {
            **self._environ,
            "TMPDIR": str(pod.directory),
            **own,
            "KUBEMR_APISERVER": self._server.url,
            "KUBEMR_APISERVER_TOKEN": self._server.token or "",
        }
        return LocalProcess(
            command(container, own),
            environ,
            container.get("workingDir"),
            partial(self._output_log.add, f"worker {pod.index}"),
            lambda code, message: self._events.put(_ProcessEnded(uid, code, message)),
        )

    def _read(self, namespace: str, resource: Resource, name: str) -> Json:
        answer = self._transport.send(Request("get", resource, namespace, name))
        if answer.ok or answer.status == 404:
            return answer.body if answer.ok else None
        raise NodeError(f"reading {resource.plural} {namespace}/{name}: {answer.message}")

    def _process_ended(self, event: _ProcessEnded) -> None:
        pod = self._pods.pop(event.pod)
        # Files that a killed worker's child still holds open are removed with the directory of the run.
        shutil.rmtree(pod.directory, ignore_errors=True)
        reason = "StartError" if pod.process is None else ""
        answer = self._write_status(pod, terminated(event.code, event.message, reason))
        # The pod may have been deleted just before it ended, before the watch has delivered the deletion.
        if pod.deleted or (answer.ok and answer.body["metadata"].get("deletionTimestamp")):
            self._remove(pod)
        job = self._jobs.get(pod.job)
        if job is not None and not self._stopping:
            job.pod_ended(pod.index, event.code == 0, time.monotonic(), disrupted=pod.deleted)
            self._report_status(job)

    def _write_status(self, pod: _Pod, status: Json) -> Answer:
        metadata = pod.document["metadata"]
        body = {"metadata": {"uid": metadata["uid"]}, "status": status}
        return self._send_change(
            Request(
                *("patch", PODS, metadata["namespace"], metadata["name"], "status"),
                body=body,
                content_type=MERGE_PATCH,
            )
        )

    def _remove(self, pod: _Pod) -> None:
        """Remove the Pod object of a process that has ended."""
        metadata = pod.document["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": metadata["uid"]},
        }
        self._send_change(Request("delete", PODS, metadata["namespace"], metadata["name"], body=body))

    def _report_status(self, job: IndexedJob) -> None:
        """Write the Job's status."""
        metadata, now = job.document["metadata"], timestamp()
        status: Json = {
            "startTime": (job.document.get("status") or {}).get("startTime") or now,
            "active": len(job.active),
            "ready": len(job.active),
            "failed": job.failed,
            "succeeded": len(job.succeeded),
            "completedIndexes": ",".join(str(index) for index in sorted(job.succeeded)),
        }
        if job.complete:
            status["completionTime"] = now
            status["conditions"] = [_condition("Complete", "CompletionsReached", "all workers have ended", now)]
        elif job.exhausted and not job.active:
            message = "Job has reached the specified backoff limit"
            status["conditions"] = [_condition("Failed", "BackoffLimitExceeded", message, now)]
        elif job.exhausted:
            self._end_all(metadata["uid"])
        answer = self._send_change(
            Request(
                *("patch", KUBERNETES_JOBS, metadata["namespace"], metadata["name"], "status"),
                body={"metadata": {"uid": metadata["uid"]}, "status": status},
                content_type=MERGE_PATCH,
            )
        )
        if answer.ok:
            # The answer may contain another client's change, whose watch event then counts as old: take it over now.
            self._update_job(job, answer.body)

    def _end_all(self, job: str) -> None:
        for pod in self._pods.values():
            if pod.job == job and pod.process is not None:
                pod.process.terminate(POD_GRACE_SECONDS)

    def _send_change(self, request: Request) -> Answer:
        """Send a change of an object that may be deleted by now, or replaced by another of the same name."""
        answer = self._transport.send(request)
        if answer.ok or answer.status in (404, 409):
            return answer
        raise NodeError(
            f"{request.verb} {request.resource.plural} {request.namespace}/{request.name}: {answer.message}"
        )


def _version(document: Json) -> int:
    """Return a number that tells which of two states of an object is newer.

    It is valid for the embedded apiserver only: elsewhere a resourceVersion must not be compared.
    """
    return int(document["metadata"]["resourceVersion"])


def _condition(kind: str, reason: str, message: str, now: str) -> Json:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastProbeTime": now,
        "lastTransitionTime": now,
    }
