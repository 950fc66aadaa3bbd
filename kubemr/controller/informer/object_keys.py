"""What an informer needs to know of an object: its key, its uid and its version."""

from __future__ import annotations

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
"""An object of the apiserver as decoded JSON.  What comes out of a store is shared: copy it before changing it."""


def make_key(namespace: str | None, name: str) -> str:
    """`namespace/name`, or `name` for what lives in no namespace."""
    return f"{namespace}/{name}" if namespace else name


def split_key(key: str) -> tuple[str | None, str]:
    """(namespace or None, name)."""
    namespace, slash, name = key.partition("/")
    return (namespace, name) if slash else (None, key)


def key_of(obj: Object) -> str:
    """The key of an object."""
    metadata = obj["metadata"]
    return make_key(metadata.get("namespace"), metadata["name"])


def uid_of(obj: Object) -> str:
    """The uid, or empty: objects of one key and different uids are different objects."""
    return str(obj["metadata"].get("uid") or "")


def version_of(obj: Object) -> str:
    """The resourceVersion, or empty."""
    return str(obj["metadata"].get("resourceVersion") or "")


def is_older(version: str, than: str) -> bool:
    """True if `version` is certainly older.

    Versions of one resource are decimal numbers that can be compared (Kubernetes API concepts, "Resource versions"); of
    a server that makes other ones nothing is concluded.
    """
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


def strip_managed_fields(obj: Object) -> Object:
    """Without `metadata.managedFields`: often the larger half of an object, and nobody here reads them."""
    obj["metadata"].pop("managedFields", None)
    return obj
