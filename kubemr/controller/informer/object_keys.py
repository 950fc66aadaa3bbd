"""The key, the uid and the version of an object."""

from __future__ import annotations

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
"""An object of the apiserver as decoded JSON.  Objects in a store are shared: copy one before you change it."""


def make_key(namespace: str | None, name: str) -> str:
    """Return `namespace/name`, or `name` for an object without a namespace."""
    return f"{namespace}/{name}" if namespace else name


def split_key(key: str) -> tuple[str | None, str]:
    """Return (namespace or None, name)."""
    namespace, slash, name = key.partition("/")
    return (namespace, name) if slash else (None, key)


def key_of(obj: Object) -> str:
    """Return the key of an object."""
    metadata = obj["metadata"]
    return make_key(metadata.get("namespace"), metadata["name"])


def uid_of(obj: Object) -> str:
    """Return the uid, or empty.  Objects with one key and different uids are different objects."""
    return str(obj["metadata"].get("uid") or "")


def version_of(obj: Object) -> str:
    """Return the resourceVersion, or empty."""
    return str(obj["metadata"].get("resourceVersion") or "")


def is_older(version: str, than: str) -> bool:
    """Return True if `version` is certainly older.

    Versions of one resource are decimal numbers that can be compared (Kubernetes API concepts, "Resource versions").
    If a server has other versions, the answer is always False.
    """
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


def strip_managed_fields(obj: Object) -> Object:
    """Remove `metadata.managedFields`, which is often the larger half of an object and which kubemr never reads."""
    obj["metadata"].pop("managedFields", None)
    return obj
