"""Check a job's pod template.

The schema takes any object, since Kubernetes will check the pods itself, but only after the job is deployed.  These
checks find what Kubernetes would reject late, and what would break the worker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kubemr.resources.json_types import Json
from kubemr.resources.metadata import pairs
from kubemr.resources.pod_fields import CONTAINER, POD, argv_problems, field_problems, image_problems, mount_problems
from kubemr.resources.problem import Problem
from kubemr.resources.schema_messages import unknown_field

WORKER_CONTAINER: Final = "worker"
"""A container of this name in the template is merged with the worker's own."""

PATH: Final = "spec.template"
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_OWN_LABELS = "kubemr.turbobytes.com/"
_RESTART_POLICY = "Never"


def template_problems(job_spec: Json) -> Iterator[Problem]:
    """Yield every mistake in the `template` of a job's spec."""
    template = job_spec["template"]
    for key in template:
        if key not in ("metadata", "spec"):
            yield unknown_field(f"{PATH}.{key}", template[key], ["metadata", "spec"], [])
    yield from _template_metadata(template.get("metadata"))
    spec = template.get("spec")
    if spec is None:
        return
    if not isinstance(spec, dict):
        yield Problem.of(f"{PATH}.spec", spec, "must be an object with members", "give a pod's spec")
        return
    yield from field_problems(f"{PATH}.spec", spec, POD)
    policy = spec.get("restartPolicy", _RESTART_POLICY)
    if policy != _RESTART_POLICY:
        message = f"must be {_RESTART_POLICY}: a restarted worker is another pod"
        yield Problem.of(f"{PATH}.spec.restartPolicy", policy, message, "leave it out")
    names: set[str] = set()
    for member in ("initContainers", "containers"):
        containers = spec.get(member) or []
        if not isinstance(containers, list):
            yield Problem.of(f"{PATH}.spec.{member}", containers, "must be a list", "begin each container with -")
            continue
        for index, container in enumerate(containers):
            path = f"{PATH}.spec.{member}[{index}]"
            yield from _container(path, container, names)
            if isinstance(container, dict):
                yield from field_problems(path, container, CONTAINER)
                yield from argv_problems(path, container)
                yield from mount_problems(path, container, spec.get("volumes"))
            if isinstance(container, dict) and container.get("name") == WORKER_CONTAINER:
                yield from _worker(path, container, member, job_spec)


def _template_metadata(metadata: Json) -> Iterator[Problem]:
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        yield Problem.of(f"{PATH}.metadata", metadata, "must be an object with members", "give labels and annotations")
        return
    for key, value in metadata.items():
        path = f"{PATH}.metadata.{key}"
        if key not in ("labels", "annotations"):
            yield unknown_field(path, value, ["labels", "annotations"], [])
            continue
        yield from pairs(path, value, labels=key == "labels")
        for name, text in value.items() if isinstance(value, dict) else ():
            if key == "labels" and str(name).startswith(_OWN_LABELS):
                yield Problem.of(
                    f"{path}.{name}", text, f"{_OWN_LABELS} is reserved for kubemr", "choose another label"
                )


def _container(path: str, container: Json, names: set[str]) -> Iterator[Problem]:
    if not isinstance(container, dict):
        yield Problem.of(path, container, "must be an object with members", "give name and image")
        return
    name = container.get("name")
    if name is None:
        yield Problem.of(f"{path}.name", None, "is required", f"name it; {WORKER_CONTAINER} is the worker itself")
    elif not isinstance(name, str) or len(name) > 63 or not _DNS_LABEL.fullmatch(name):
        message = "must be at most 63 lower-case letters, digits and -"
        yield Problem.of(f"{path}.name", name, message, "give a name such as log-shipper")
    elif name in names:
        yield Problem.of(f"{path}.name", name, "occurs twice", "give each container a different name")
    names.add(str(name))
    if name != WORKER_CONTAINER and not container.get("image"):
        yield Problem.of(f"{path}.image", None, "is required", "give the container's image")
    elif container.get("image"):
        yield from image_problems(f"{path}.image", container["image"])
    env = container.get("env") or []
    if not isinstance(env, list):
        yield Problem.of(f"{path}.env", env, "must be a list", "write - name: …, value: …")
        return
    for index, variable in enumerate(env):
        yield from _variable(f"{path}.env[{index}]", variable, name == WORKER_CONTAINER)


def _worker(path: str, worker: Json, member: str, job_spec: Json) -> Iterator[Problem]:
    """Yield the fields of the worker's container that the operator would overwrite."""
    if member == "initContainers":
        yield Problem.of(f"{path}.name", WORKER_CONTAINER, "is the name of the worker itself", "give another name")
    for key in ("image", "resources"):
        if key in worker and worker[key] != job_spec.get(key, worker[key]):
            message = f"differs from spec.{key}, which takes precedence"
            yield Problem.of(f"{path}.{key}", worker[key], message, "leave it out of the template")


def _variable(path: str, variable: Json, worker: bool) -> Iterator[Problem]:
    if not isinstance(variable, dict) or not isinstance(variable.get("name"), str) or not variable["name"]:
        yield Problem.of(path, variable, "must have a name", "write - name: …, value: …")
        return
    if worker and variable["name"].startswith("KUBEMR_"):
        message = "KUBEMR_ variables are set by the operator"
        yield Problem.of(f"{path}.name", variable["name"], message, "remove it; give the worker jobargs instead")
    if "value" in variable and not isinstance(variable["value"], str):
        text = str(variable["value"]).lower()
        yield Problem.of(f"{path}.value", variable["value"], "must be a string", f'quote it: "{text}"')
    if "value" in variable and "valueFrom" in variable:
        yield Problem.of(path, variable, "has both value and valueFrom", "leave one of them out")
