"""Build the environment of a container as a kubelet does: `envFrom` in order, then `env`."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping

from kubemr.coordination.kinds import CONFIG_MAPS, SECRETS
from kubemr.locks.effects import Json, Resource

Reader = Callable[[Resource, str], Json]
"""Reads an object of the pod's namespace; returns None if it does not exist."""


class ContainerConfigError(Exception):
    """The container cannot get what its spec asks for."""


def environment(container: Json, pod: Json, read: Reader) -> dict[str, str]:
    """Return the container's own variables.  Raises `ContainerConfigError`."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        prefix = source.get("prefix", "")
        for kind, resource in (("configMapRef", CONFIG_MAPS), ("secretRef", SECRETS)):
            if kind in source:
                data = _read_data(resource, source[kind], read)
                variables.update({prefix + name: value for name, value in data.items()})
    for entry in container.get("env") or []:
        value = _variable_value(entry, pod, read)
        if value is not None:
            variables[entry["name"]] = _expand(value, variables)
    return variables


def _read_data(resource: Resource, reference: Json, read: Reader) -> dict[str, str]:
    document = read(resource, reference["name"])
    if document is None:
        if reference.get("optional"):
            return {}
        raise ContainerConfigError(f"{resource.plural} {reference['name']!r} not found")
    data = document.get("data") or {}
    if resource is SECRETS:
        return {key: base64.b64decode(value).decode("utf-8", "surrogateescape") for key, value in data.items()}
    return dict(data)


def _variable_value(entry: Json, pod: Json, read: Reader) -> str | None:
    source = entry.get("valueFrom")
    if source is None:
        return str(entry.get("value", ""))
    for kind, resource in (("configMapKeyRef", CONFIG_MAPS), ("secretKeyRef", SECRETS)):
        if kind in source:
            value = _read_data(resource, source[kind], read).get(source[kind]["key"])
            if value is None and not source[kind].get("optional"):
                raise ContainerConfigError(
                    f"{entry['name']}: {resource.plural} {source[kind]['name']!r} has no key {source[kind]['key']!r}"
                )
            return value
    if "fieldRef" in source:
        path = source["fieldRef"].get("fieldPath", "")
        for found in _fields(pod, path):
            return found
        raise ContainerConfigError(f"{entry['name']}: fieldPath {path!r} is not supported in local mode")
    raise ContainerConfigError(f"{entry['name']}: valueFrom {', '.join(source)} is not supported in local mode")


def _fields(pod: Json, path: str) -> Iterator[str]:
    metadata = pod["metadata"]
    simple = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
    }
    if path in simple:
        yield simple[path]
    keyed = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if keyed:
        yield (metadata.get(keyed[1]) or {}).get(keyed[2], "")


def _expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by a variable that is already defined, and `$$` by `$`; an unknown name stays as it is."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]+)\)", replace, text)


def command(container: Json, variables: Mapping[str, str]) -> list[str]:
    """Return what the container runs: `command` and `args`, expanded.  Raises `ContainerConfigError`."""
    given: list[str] = []
    for key in ("command", "args"):
        part = container.get(key) or []
        if not isinstance(part, list) or not all(isinstance(each, str) for each in part):
            raise ContainerConfigError(f"{key}: {part!r} is not a list of strings; write each word as an item")
        given += part
    return [_expand(part, variables) for part in given]
