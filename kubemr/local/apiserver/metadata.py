"""Decode and check `metadata`: what a client may write, and what the server rejects.

The source is `apimachinery/pkg/api/validation`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kubemr.local.apiserver.errors import Cause
from kubemr.local.apiserver.go_json import spell_str
from kubemr.local.apiserver.jsonpatch import go_type
from kubemr.local.apiserver.kinds import DecodeError, Kind
from kubemr.locks.effects import Json

_STRINGS: Final = (
    *("name", "generateName", "namespace", "uid", "resourceVersion"),
    *("creationTimestamp", "deletionTimestamp"),
)
_NUMBERS: Final = ("generation", "deletionGracePeriodSeconds")
_MAPS: Final = ("labels", "annotations")
_KNOWN: Final = frozenset((*_STRINGS, *_NUMBERS, *_MAPS, "ownerReferences", "finalizers"))
_DROPPED: Final = frozenset(("managedFields", "selfLink"))
_OWNER_KEYS: Final = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")

SYSTEM_FINALIZERS: Final = frozenset(("orphan", "foregroundDeletion", "kubernetes"))
MAX_ANNOTATIONS: Final = 256 * 1024

_SUBDOMAIN_RE: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL_RE: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME_PART_RE: Final = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE_RE: Final = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_SUBDOMAIN, _LABEL = re.compile(_SUBDOMAIN_RE, re.ASCII), re.compile(_LABEL_RE, re.ASCII)
_NAME_PART, _LABEL_VALUE = re.compile(_NAME_PART_RE, re.ASCII), re.compile(_LABEL_VALUE_RE, re.ASCII)

_SUBDOMAIN_MESSAGE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    f"and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN_RE}')"
)
_LABEL_MESSAGE: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL_RE}')"
)
_NAME_PART_MESSAGE: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME_PART_RE}')"
)
_QUALIFIED_MESSAGE: Final = (
    f"{_NAME_PART_MESSAGE.replace('name part', 'a valid label key')} with an optional DNS subdomain prefix and '/' "
    "(e.g. 'example.com/MyName')"
)
_LABEL_VALUE_MESSAGE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_LABEL_VALUE_RE}')"
)


def decode_metadata(body: Json, field: str = "ObjectMeta") -> list[str]:
    """Give `body` a copy of its `metadata` in the server's shape, and return the unknown fields, which are dropped.

    Raises `DecodeError` where Go's decoder fails; `field` is Go's name of the struct.
    """
    metadata = body.get("metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, dict):
        raise _metadata_type_error(metadata, "struct", "metadata", "v1.ObjectMeta")
    known, unknown = {}, []
    for key, value in metadata.items():
        if key in _KNOWN:
            _check_metadata_type(key, value, field)
            if value not in (None, "", {}, []) and not (value == 0 and key == "generation"):
                known[key] = value
        elif key not in _DROPPED:
            unknown.append(f"metadata.{key}")
    if "ownerReferences" in known:
        known["ownerReferences"] = [
            {key: owner[key] for key in _OWNER_KEYS if owner.get(key) is not None} for owner in known["ownerReferences"]
        ]
    body["metadata"] = known
    return unknown


def _check_metadata_type(key: str, value: Json, field: str) -> None:
    if value is None:
        return
    if key in _STRINGS and not isinstance(value, str):
        raise _metadata_type_error(value, field, key, "string")
    if key in _NUMBERS and (not isinstance(value, int) or isinstance(value, bool)):
        raise _metadata_type_error(value, field, key, "int64")
    if key in _MAPS:
        if not isinstance(value, dict):
            raise _metadata_type_error(value, field, key, "map[string]string")
        for item in value.values():
            if not isinstance(item, str | None):
                raise _metadata_type_error(item, field, key, "string")
    if key == "finalizers":
        if not isinstance(value, list):
            raise _metadata_type_error(value, field, key, "[]string")
        for item in value:
            if not isinstance(item, str):
                raise _metadata_type_error(item, field, key, "string")
    if key == "ownerReferences":
        if not isinstance(value, list):
            raise _metadata_type_error(value, field, key, "[]v1.OwnerReference")
        for item in value:
            if not isinstance(item, dict):
                raise _metadata_type_error(item, field, key, "v1.OwnerReference")


def _metadata_type_error(value: Json, struct: str, key: str, what: str) -> DecodeError:
    return DecodeError(f"json: cannot unmarshal {go_type(value)} into Go struct field {struct}.{key} of type {what}")


def check_metadata(metadata: Json, kind: Kind) -> Iterator[Cause]:
    """Yield what is wrong with the metadata of a new object."""
    prefix = metadata.get("generateName")
    if prefix and (problem := _name_problem(prefix.removesuffix("-"), kind)):
        yield _invalid("metadata.generateName", prefix, problem)
    name = metadata.get("name")
    if not name:
        yield Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
    elif problem := _name_problem(name, kind):
        yield _invalid("metadata.name", name, problem)
    yield from _check_rest(metadata, kind)


def _check_rest(metadata: Json, kind: Kind) -> Iterator[Cause]:
    yield from _check_labels(metadata.get("labels") or {})
    for key in metadata.get("annotations") or {}:
        yield from _check_qualified(key.lower(), key, "metadata.annotations")
    size = sum(len(k.encode()) + len(v.encode()) for k, v in (metadata.get("annotations") or {}).items())
    if size > MAX_ANNOTATIONS:
        why = f"Too long: may not be more than {MAX_ANNOTATIONS} bytes"
        yield Cause("FieldValueTooLong", why, "metadata.annotations")
    yield from _check_owners(metadata.get("ownerReferences") or [])
    for index, finalizer in enumerate(metadata.get("finalizers") or []):
        yield from _check_qualified(finalizer, finalizer, "metadata.finalizers")
        if not kind.custom and "/" not in finalizer and finalizer not in SYSTEM_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield _invalid(f"metadata.finalizers[{index}]", finalizer, why)


def _invalid(field: str, value: str, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {spell_str(value)}: {why}", field)


def _name_problem(name: str, kind: Kind) -> str:
    if kind.custom or not kind.label_name:
        if len(name) > 253:
            return "must be no more than 253 characters"
        return "" if _SUBDOMAIN.fullmatch(name) else _SUBDOMAIN_MESSAGE
    if len(name) > 63:
        return "must be no more than 63 characters"
    if _LABEL.fullmatch(name):
        return ""
    return "must not contain dots" if _SUBDOMAIN.fullmatch(name) else _LABEL_MESSAGE


def _check_labels(labels: Json) -> Iterator[Cause]:
    for key, value in labels.items():
        yield from _check_qualified(key, key, "metadata.labels")
        value = value or ""
        if len(value) > 63:
            yield _invalid("metadata.labels", value, "must be no more than 63 bytes")
        if not _LABEL_VALUE.fullmatch(value):
            yield _invalid("metadata.labels", value, _LABEL_VALUE_MESSAGE)


def _check_qualified(key: str, shown: str, field: str) -> Iterator[Cause]:
    prefix, slash, name = key.rpartition("/")
    if key.count("/") > 1:
        yield _invalid(field, shown, _QUALIFIED_MESSAGE)
        return
    if slash and not prefix:
        yield _invalid(field, shown, "prefix part must be non-empty")
    elif len(prefix) > 253:
        yield _invalid(field, shown, "prefix part must be no more than 253 bytes")
    elif slash and not _SUBDOMAIN.fullmatch(prefix):
        yield _invalid(field, shown, f"prefix part {_SUBDOMAIN_MESSAGE}")
    if not name:
        yield _invalid(field, shown, "name part must be non-empty")
    elif len(name) > 63:
        yield _invalid(field, shown, "name part must be no more than 63 bytes")
    if not _NAME_PART.fullmatch(name):
        yield _invalid(field, shown, _NAME_PART_MESSAGE)


def _check_owners(owners: Json) -> Iterator[Cause]:
    controller = None
    for owner in owners:
        for key, why in (
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):
            if not owner.get(key):
                yield _invalid(f"metadata.ownerReferences.{key}", "", why)
        if owner.get("controller"):
            if controller is not None:
                shown = ",".join(_spell_owner(o) for o in owners)
                first, second = f"{controller['kind']}/{controller['name']}", f"{owner['kind']}/{owner['name']}"
                why = 'Only one reference can have Controller set to true. Found "true" in references for'
                message = f"Invalid value: [{shown}]: {why} {first} and {second}"
                yield Cause("FieldValueInvalid", message, "metadata.ownerReferences")
                return
            controller = owner


def _spell_owner(owner: Json) -> str:
    members = (
        f'"{key}":{spell_str(value) if isinstance(value, str) else str(value).lower()}' for key, value in owner.items()
    )
    return "{" + ",".join(members) + "}"


def check_metadata_change(metadata: Json, old: Json, kind: Kind) -> list[Cause]:
    """Return what is wrong with the metadata of a changed object."""
    causes = list(_check_rest(metadata, kind))
    if old.get("deletionTimestamp"):
        had = old.get("finalizers") or []
        extra = sorted(f for f in metadata.get("finalizers") or [] if f not in had)
        if extra:
            listed = ", ".join(map(spell_str, extra))
            why = "no new finalizers can be added if the object is being deleted, found new finalizers"
            causes.append(Cause("FieldValueForbidden", f"Forbidden: {why} []string{{{listed}}}", "metadata.finalizers"))
    if metadata.get("uid") != old.get("uid"):
        causes.append(_invalid("metadata.uid", metadata.get("uid", ""), "field is immutable"))
    return causes
