"""Check a job's metadata by the rules of Kubernetes for every object.

The schema of a custom resource does not describe its metadata: the apiserver checks it on its own, and drops fields
that it does not know.  `metadata_problems` applies to jobs in a file and in a cluster.  `set_by_server` applies only to
jobs in a file, which must not hold what an apiserver writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kubemr.resources.json_types import Json
from kubemr.resources.patterns import DNS_SUBDOMAIN
from kubemr.resources.problem import Problem
from kubemr.resources.schema_messages import unknown_field

MAX_NAME: Final = 253
MAX_LABEL: Final = 63
_NAME = re.compile(DNS_SUBDOMAIN)
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?")
_WRITABLE = ("name", "generateName", "namespace", "labels", "annotations", "finalizers", "ownerReferences")
_BY_SERVER = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
)
_CHARACTERS = "use lower-case letters, digits, - and ., and begin and end with a letter or a digit"


def metadata_problems(metadata: Json) -> Iterator[Problem]:
    """Yield every mistake in the metadata of a job."""
    for key in metadata:
        if key not in _WRITABLE and key not in _BY_SERVER:
            yield unknown_field(f"metadata.{key}", metadata[key], list(_WRITABLE), [])
    yield from _names(metadata.get("name"), metadata.get("generateName"))
    namespace = metadata.get("namespace")
    if namespace is not None and namespace != "":
        yield from _namespace(namespace)
    yield from pairs("metadata.labels", metadata.get("labels"), labels=True)
    yield from pairs("metadata.annotations", metadata.get("annotations"), labels=False)


def set_by_server(job: Json) -> Iterator[Problem]:
    """Yield the fields that only an apiserver may write, in the manifest of a new job."""
    metadata = job.get("metadata") if isinstance(job, dict) else None
    if isinstance(metadata, dict):
        for key in _BY_SERVER:
            if metadata.get(key) is not None:
                yield Problem.of(f"metadata.{key}", metadata[key], "is set by the apiserver", "remove it")


def _names(name: Json, prefix: Json) -> Iterator[Problem]:
    if not name and not prefix:
        yield Problem.of("metadata.name", None, "is required", "give the job a name, or a generateName")
    if name:
        yield from _name("metadata.name", name, name, "a name")
    if prefix:
        yield from _name("metadata.generateName", prefix, f"{prefix}x", "a beginning such as wordcount-")


def _name(path: str, value: Json, whole: str, what: str) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem.of(path, value, "must be a string", f'quote it: "{str(value).lower()}"')
    elif len(value) > MAX_NAME:
        message = f"must be at most {MAX_NAME} lower-case letters, digits, - and .; it has {len(value)}"
        yield Problem.of(path, value, message, f"shorten it to {MAX_NAME} characters")
    elif not _NAME.fullmatch(whole):
        message = f"must be at most {MAX_NAME} lower-case letters, digits, - and ."
        yield Problem.of(path, value, message, f"give {what}: {_CHARACTERS}")


def _namespace(value: Json) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem.of("metadata.namespace", value, "must be a string", f'quote it: "{str(value).lower()}"')
    elif len(value) > MAX_LABEL or not _NAMESPACE.fullmatch(value):
        message = f"must be at most {MAX_LABEL} lower-case letters, digits and -"
        yield Problem.of("metadata.namespace", value, message, "give a namespace as `kubectl get namespaces` shows it")


def pairs(path: str, value: Json, *, labels: bool) -> Iterator[Problem]:
    """Yield every mistake in labels or annotations."""
    if value is None:
        return
    if not isinstance(value, dict):
        yield Problem.of(path, value, "must be an object with members", "give name: value pairs")
        return
    for key, text in value.items():
        here = f"{path}.{key}"
        yield from _key(here, key)
        if not isinstance(text, str):
            yield Problem.of(here, text, "must be a string", f'quote it: "{str(text).lower()}"')
        elif labels and text and (len(text) > MAX_LABEL or not _LABEL_VALUE.fullmatch(text)):
            message = f"a label's value must be at most {MAX_LABEL} letters, digits, -, _ and ."
            yield Problem.of(here, text, message, "begin and end it with a letter or a digit, or make it an annotation")


def _key(path: str, key: Json) -> Iterator[Problem]:
    prefix, slash, name = str(key).rpartition("/")
    if slash and not (len(prefix) <= MAX_NAME and _NAME.fullmatch(prefix.lower())):
        yield Problem.of(
            path, key, "has an invalid prefix before its /", "write the prefix as a domain, e.g. example.com/team"
        )
    elif len(name) > MAX_LABEL or not _LABEL_VALUE.fullmatch(name):
        message = f"a key must be at most {MAX_LABEL} letters, digits, -, _ and ., after an optional domain and /"
        yield Problem.of(path, key, message, "give a key such as team or example.com/team")
