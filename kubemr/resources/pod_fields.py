"""Check the fields of a pod's spec and of a container at their top level, by name and type, as of Kubernetes 1.36.

The apiserver checks what lies deeper.  It would drop a misspelt field silently, and it would reject a wrong type only
after the job was accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kubemr.resources.json_types import Json
from kubemr.resources.problem import Problem
from kubemr.resources.schema_messages import unknown_field
from kubemr.resources.structural_schema import type_name


def _kinds_by_field(**kinds: str) -> dict[str, str]:
    return {name: kind for kind, names in kinds.items() for name in names.split()}


POD: Final[Mapping[str, str]] = _kinds_by_field(
    boolean="automountServiceAccountToken enableServiceLinks hostIPC hostNetwork hostPID hostUsers setHostnameAsFQDN "
    "shareProcessNamespace",
    integer="activeDeadlineSeconds priority terminationGracePeriodSeconds",
    string="dnsPolicy hostname hostnameOverride nodeName preemptionPolicy priorityClassName runtimeClassName "
    "schedulerName serviceAccount serviceAccountName subdomain",
    array="ephemeralContainers hostAliases imagePullSecrets readinessGates resourceClaims schedulingGates tolerations "
    "topologySpreadConstraints volumes",
    object="affinity dnsConfig nodeSelector os overhead resources schedulingGroup securityContext workloadRef",
    elsewhere="containers initContainers restartPolicy",
)
"""`kubemr.resources.template` checks the fields of `elsewhere` itself."""

CONTAINER: Final[Mapping[str, str]] = _kinds_by_field(
    boolean="stdin stdinOnce tty",
    string="imagePullPolicy restartPolicy terminationMessagePath terminationMessagePolicy workingDir",
    array="envFrom ports resizePolicy restartPolicyRules volumeDevices volumeMounts",
    object="lifecycle livenessProbe readinessProbe resources securityContext startupProbe",
    elsewhere="args command env image name",
)

_TYPE_WORDS: Final = {
    "boolean": ("true or false", "write true or false without quotes"),
    "integer": ("a whole number", "write a number without quotes"),
    "string": ("a string", "quote it"),
    "array": ("a list", "begin each item with -"),
    "object": ("an object with members", "give name: value pairs"),
}
_LEAST: Final = {"terminationGracePeriodSeconds": 0, "activeDeadlineSeconds": 1}


def field_problems(path: str, value: Mapping[str, Json], table: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the fields that are not in the table, or have another type."""
    for key, member in value.items():
        here = f"{path}.{key}"
        if key not in table:
            yield unknown_field(here, member, list(table), [])
            continue
        kind = table[key]
        if member is None or kind not in _TYPE_WORDS:
            continue
        if type_name(member) != kind:
            what, remedy = _TYPE_WORDS[kind]
            yield Problem.of(here, member, f"must be {what}", remedy)
        elif key in _LEAST and member < _LEAST[key]:
            yield Problem.of(
                here, member, f"must be at least {_LEAST[key]}", "give a number of seconds, or leave it out"
            )


def argv_problems(path: str, container: Mapping[str, Json]) -> Iterator[Problem]:
    """Yield each of `command` and `args` that is not a list of strings: a string would be split into its letters."""
    for key in ("command", "args"):
        given = container.get(key)
        if given is None:
            continue
        if not isinstance(given, list):
            remedy = f"write it as a list, each word an item: {key}: [python, worker.py]"
            yield Problem.of(f"{path}.{key}", given, "must be a list of strings", remedy)
            continue
        for index, part in enumerate(given):
            if not isinstance(part, str):
                text = "" if part is None else str(part).lower()
                yield Problem.of(f"{path}.{key}[{index}]", part, "must be a string", f'quote it: "{text}"')


def image_problems(path: str, image: Json) -> Iterator[Problem]:
    """Yield a mistake in an image's name that a container runtime would reject long after the job was accepted.

    A name is `[registry[:port]/]repository[:tag][@digest]`.
    """
    if not isinstance(image, str):
        yield Problem.of(path, image, "must be a string", "give a name such as registry.example/team/image:tag")
        return
    name = image.partition("@")[0]
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        name = rest
    folders, slash, last = name.rpartition("/")
    repository = folders + slash + last.partition(":")[0]
    if repository != repository.lower():
        message = "has upper-case letters in its repository, which container runtimes reject"
        yield Problem.of(path, image, message, f"did you mean {image.replace(repository, repository.lower(), 1)}?")


def mount_problems(path: str, container: Mapping[str, Json], volumes: Json) -> Iterator[Problem]:
    """Yield the mounts without a path, or without a volume of the pod."""
    mounts = container.get("volumeMounts")
    known = [each.get("name") for each in volumes if isinstance(each, dict)] if isinstance(volumes, list) else []
    for index, mount in enumerate(mounts if isinstance(mounts, list) else ()):
        here = f"{path}.volumeMounts[{index}]"
        if not isinstance(mount, dict):
            yield Problem.of(here, mount, "must be an object with members", "write - name: …, mountPath: …")
            continue
        if mount.get("name") not in known:
            remedy = f"add it to volumes, which has {', '.join(map(str, known))}" if known else "add it to volumes"
            yield Problem.of(f"{here}.name", mount.get("name"), "is not a volume of the pod", remedy)
        if not isinstance(mount.get("mountPath"), str) or not mount["mountPath"]:
            yield Problem.of(f"{here}.mountPath", mount.get("mountPath"), "is required", "give a folder such as /data")
