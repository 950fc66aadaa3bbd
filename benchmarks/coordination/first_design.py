"""The first kubemr's design: all tasks of a job in one object, each claimed and finished by a patch of its own.

As a program it is one worker, which does what a worker does that has no shards: `first_design.py SECONDS` claims and
finishes tasks of the object until none is left or the time is over, and prints how many it finished.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from attrs import frozen

from coordination.server import Server
from kubemr.locks import HttpTransport, Patch, Request, Resource, Target, from_environment, run, unique
from kubemr.locks.conditional import apply
from kubemr.locks.effects import Json
from kubemr.locks.patch import lookup, pointer
from support.accounts import until

JOBS = Resource("bench.kubemr.local", "v1", "onejobs")
OBJECT = Target(JOBS, "default", "all-in-one")
FREE = ""
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CLOCK = "start of the workers' processes to their end, for some seconds; the object is there before"
INPUT = "http://example.com/inputs/of/some/length/"


@frozen
class OneObject:
    """What it cost."""

    tasks: int
    done: int
    seconds: float
    cpu: float
    """Seconds of CPU of apiserver and etcd."""
    wal: float
    """Bytes that etcd has appended to its log."""


def measure(server: Server, tasks: int, workers: int, seconds: float) -> OneObject:
    """A job of so many empty tasks in one object, for `seconds` at most."""
    api = server.apiserver
    _define(server)
    state = {str(number): {"input": f"{INPUT}{number}", "lock": FREE, "result": ""} for number in range(tasks)}
    body = {
        "apiVersion": f"{JOBS.group}/{JOBS.version}",
        "kind": "OneJob",
        "metadata": {"name": OBJECT.name},
        "tasks": state,
    }
    created = api.request("POST", JOBS.path(OBJECT.namespace), body)
    if created.status != 201:
        raise RuntimeError(f"the object of {tasks} tasks was refused: {created.body}")
    environ = {
        **os.environ,
        "KUBEMR_APISERVER": api.url,
        "KUBEMR_APISERVER_CA": str(api.ca_file),
        "KUBEMR_APISERVER_TOKEN": api.token,
    }
    before, began = server.spent(), time.monotonic()
    command = [sys.executable, str(Path(__file__)), f"{seconds:g}"]
    processes = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(workers)]
    done = sum(int(process.communicate(timeout=seconds + 120)[0]) for process in processes)
    took, spent = time.monotonic() - began, server.spent().since(before)
    api.request("DELETE", JOBS.path(OBJECT.namespace, OBJECT.name))
    return OneObject(tasks, done, took, spent.cpu, spent.wal)


def _define(server: Server) -> None:
    """The resource, as somebody would write it who thinks of one object; without field management of each task."""
    task = {"type": "object", "properties": {name: {"type": "string"} for name in ("input", "lock", "result")}}
    tasks = {"type": "object", "additionalProperties": task, "x-kubernetes-map-type": "atomic"}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{JOBS.plural}.{JOBS.group}"},
        "spec": {
            "group": JOBS.group,
            "scope": "Namespaced",
            "names": {"plural": JOBS.plural, "singular": "onejob", "kind": "OneJob"},
            "versions": [
                {
                    "name": JOBS.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"tasks": tasks}}},
                }
            ],
        },
    }
    made = server.apiserver.request("POST", CRDS, crd)
    if made.status not in (201, 409):
        raise RuntimeError(f"the resource was refused: {made.body}")
    until(lambda: server.apiserver.request("GET", JOBS.path(OBJECT.namespace)).status == 200)


def shows(path: str, value: str, seen: Json) -> bool:
    """Whether an object has that value there."""
    return bool(lookup(seen, path) == value)


def work(seconds: float) -> int:
    """Claim and finish tasks until none is free; how many this worker has finished."""
    token, done, end = unique(), 0, time.monotonic() + seconds
    with HttpTransport(from_environment()) as transport:
        document: Json = transport.send(Request("get", JOBS, OBJECT.namespace, OBJECT.name)).body
        while time.monotonic() < end:
            free = [number for number, task in document["tasks"].items() if task["lock"] == FREE]
            if not free:
                break
            lock = pointer("tasks", random.choice(free), "lock")
            result = lock.removesuffix("lock") + "result"
            claimed = run(
                apply(OBJECT, Patch().swap(lock, FREE, token), partial(shows, lock, token)),
                transport,
            )
            document = claimed.object or document
            if not claimed.won:
                continue
            finished = run(
                apply(
                    OBJECT,
                    Patch().test(lock, token).swap(result, "", "done"),
                    partial(shows, result, "done"),
                ),
                transport,
            )
            document = finished.object or document
            done += finished.won
    return done


if __name__ == "__main__":
    print(json.dumps(work(float(sys.argv[1]))))
