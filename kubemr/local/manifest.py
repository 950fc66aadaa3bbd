"""Adapt a job to a run on this machine, and find what a local run does not support."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Final

from kubemr.controller.reconcile.objects.builders import CONTAINER
from kubemr.locks.effects import Json
from kubemr.resources import Problem, validate

CONTAINERS: Final = "spec.template.spec.containers"


def localize(job: Json, *, command: Sequence[str], replicas: int | None, cpus: int, keep: bool) -> Json:
    """Return the job with the worker's command, the number of workers and the retention policy of a local run.

    Without `replicas`, the manifest's number counts, else `cpus`.  A manifest of the wrong structure is returned as it
    is, so that `problems` can report it.
    """
    if not isinstance(job, dict) or not isinstance(job.get("spec"), dict):
        return job
    job = copy.deepcopy(job)
    spec = job["spec"]
    if replicas is not None:
        spec["replicas"] = replicas
    elif spec.get("replicas") is None:
        spec["replicas"] = cpus
    if keep and isinstance(spec.setdefault("storage", {}), dict):
        spec["storage"]["retentionPolicy"] = "All"
    if command:
        _set_command(spec, command)
    return job


def _set_command(spec: Json, command: Sequence[str]) -> None:
    pod = spec.setdefault("template", {})
    pod = pod.setdefault("spec", {}) if isinstance(pod, dict) else None
    containers = pod.setdefault("containers", []) if isinstance(pod, dict) else None
    if not isinstance(containers, list):
        return
    worker = next((each for each in containers if isinstance(each, dict) and each.get("name") == CONTAINER), None)
    if worker is None:
        worker = {"name": CONTAINER}
        containers.insert(0, worker)
    # The worker gets the command unchanged: Kubernetes expands $(NAME) in commands, and replaces $$ by $.
    worker["command"] = [part.replace("$", "$$") for part in command]
    worker.pop("args", None)


def problems(job: Json) -> list[Problem]:
    """Return every mistake of a job that is to run on this machine."""
    found = validate(job)
    return found or list(_unsupported_locally(job))


def _unsupported_locally(job: Json) -> Iterator[Problem]:
    """Yield what a valid job asks for and a local run would have to ignore."""
    spec = job["spec"]
    pod = (spec.get("template") or {}).get("spec") or {}
    for key in ("initContainers", "volumes"):
        if pod.get(key):
            message = "is not supported in a local run, which has no pods"
            yield Problem.of(f"spec.template.spec.{key}", pod[key], message, "leave it out for local runs")
    worker: Json = {}
    for index, container in enumerate(pod.get("containers") or []):
        if container["name"] == CONTAINER:
            worker = container
            continue
        path = f"{CONTAINERS}[{index}]"
        yield Problem.of(
            path, container["name"], "a local run has only the container worker", "leave it out for local runs"
        )
    if not worker.get("command") and not worker.get("args"):
        message = f"a local run does not run image {spec.get('image')!r}, and no command is given"
        remedy = "append the worker's command, e.g. `-- python worker.py`, or set command of the container named worker"
        yield Problem.of(f"{CONTAINERS}[{CONTAINER}].command", None, message, remedy)
    if (spec.get("storage") or {}).get("s3"):
        message = "is not supported in a local run, which has one store for all jobs"
        yield Problem.of("spec.storage.s3", spec["storage"]["s3"], message, "leave it out, and give --store")
