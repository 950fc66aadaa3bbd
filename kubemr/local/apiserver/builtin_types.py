"""Decode, default and check the built-in kinds, as far as kubemr uses them.

A strategy knows the fields of the top level, and those of `spec` if a client's mistakes there matter.  So it drops
unknown fields and rejects wrong types as the real server does.  Defaults that the real server adds deep inside pods are
not added: no part of kubemr reads them (see `docs/embedded-apiserver.md`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from attr import frozen

from kubemr.coordination.kinds import CONTROLLER_UID, JOB_NAME
from kubemr.local.apiserver.errors import Cause
from kubemr.local.apiserver.go_json import spell_str
from kubemr.local.apiserver.jsonpatch import go_type
from kubemr.local.apiserver.kinds import DecodeError
from kubemr.local.apiserver.metadata import decode_metadata
from kubemr.locks.effects import Json

_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)", re.ASCII)
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+", re.ASCII)

Check = Callable[[Json, Json], Iterator[Cause]]
Mutate = Callable[[Json], None]


def _no_causes(_obj: Json, _old: Json) -> Iterator[Cause]:
    return iter(())


def _change_nothing(_obj: Json) -> None:
    return


@frozen
class BuiltinStrategy:
    """The strategy of a built-in kind.

    - `shape`: the Go type of each known top-level field
    - `spec`: the same for the fields of `spec` (None: any)
    - `always`: the fields that are sent even if they are empty
    """

    name: str
    version: str
    shape: Mapping[str, str]
    spec: Mapping[str, str] | None = None
    always: Mapping[str, Json] = {}
    initialize: Mutate = _change_nothing
    apply_defaults: Mutate = _change_nothing
    rules: Check = _no_causes

    def decode(self, body: Json) -> list[str]:
        """Drop unknown and empty fields, and reject wrong types."""
        dropped = []
        for key, value in list(body.items()):
            if key in ("apiVersion", "kind", "metadata"):
                continue
            if key not in self.shape:
                dropped.append(key)
                del body[key]
                continue
            _check_field_type(value, self.shape[key], f"{self.name}.{key}")
            if value in (None, {}, [], "") and key not in self.always:
                del body[key]
        spec = body.get("spec")
        if self.spec is not None and isinstance(spec, dict):
            body["spec"] = known = {}
            for key, value in spec.items():
                if key in self.spec:
                    _check_field_type(value, self.spec[key], f"{self.name}Spec.spec.{key}")
                    if value is not None:
                        known[key] = value
                else:
                    dropped.append(f"spec.{key}")
        for key, empty in self.always.items():
            if body.get(key) is None:
                body[key] = empty
        dropped += decode_metadata(body, "ObjectMeta.metadata")
        return dropped

    def create(self, obj: Json) -> None:
        """Fill in defaults, and the fields that only a new object gets."""
        self.apply_defaults(obj)
        self.initialize(obj)

    def update(self, obj: Json, old: Json) -> None:
        """Fill in defaults."""
        self.apply_defaults(obj)

    def check(self, obj: Json, old: Json, subresource: str | None) -> Sequence[Cause]:
        """Return what breaks the kind's rules."""
        return list(self.rules(obj, old))


_PYTHON: Final[Mapping[str, type]] = {
    **dict.fromkeys(("object", "strings", "base64"), dict),
    **{"string": str, "list": list, "bool": bool},
}


def _check_field_type(value: Json, kind: str, where: str) -> None:
    if value is None or kind == "any":
        return
    if kind in ("int32", "int64"):
        if isinstance(value, bool) or not isinstance(value, int):
            raise _type_error(value, where, kind)
    elif kind == "microtime":
        if not isinstance(value, str):
            raise _type_error(value, where, "string")
        if not _MICRO_TIME.fullmatch(value):
            raise DecodeError(_time_problem(value))
    elif not isinstance(value, _PYTHON[kind]):
        raise _type_error(
            value, where, {"strings": "map[string]string", "base64": "map[string][]uint8"}.get(kind, kind)
        )
    if kind in ("strings", "base64"):
        for item in value.values():
            if not isinstance(item, str | None):
                raise _type_error(item, where, "string" if kind == "strings" else "[]uint8")
    if kind == "base64":
        for item in value.values():
            _check_base64(item)


def _check_base64(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        bad = re.search(r"[^A-Za-z0-9+/]", text)
        raise DecodeError(f"illegal base64 data at input byte {bad.start() if bad else len(text)}") from None


def _time_problem(value: str) -> str:
    seconds = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", value, re.ASCII)
    rest, want = (value[seconds.end() :], ".000000") if seconds else (value, "2006")
    shown = spell_str(value)
    return f'parsing time {shown} as "2006-01-02T15:04:05.000000Z07:00": cannot parse "{rest}" as "{want}"'


def _type_error(value: Json, where: str, what: str) -> DecodeError:
    return DecodeError(f"json: cannot unmarshal {go_type(value)} into Go struct field {where} of type {what}")


def _check_keys(obj: Json, _old: Json) -> Iterator[Cause]:
    for part in ("data", "binaryData"):
        for key in sorted(obj.get(part) or {}):
            why = ""
            if not _CONFIG_KEY.fullmatch(key):
                why = (
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
                    "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                )
            elif key in (".", ".."):
                why = f"must not be '{key}'"
            elif key.startswith(".."):
                why = "must not start with '..'"
            if why:
                yield Cause("FieldValueInvalid", f"Invalid value: {spell_str(key)}: {why}", f"{part}[{key}]")


def _check_immutable(obj: Json, old: Json) -> Iterator[Cause]:
    if old is not None and old.get("immutable"):
        forbidden = "Forbidden: field is immutable when `immutable` is set"
        if not obj.get("immutable"):
            yield Cause("FieldValueForbidden", forbidden, "immutable")
        for part in ("data", "binaryData"):
            if obj.get(part) != old.get(part):
                yield Cause("FieldValueForbidden", forbidden, part)


def check_config_map(obj: Json, old: Json) -> Iterator[Cause]:
    """Yield keys that are not file names, and changes of an immutable object."""
    yield from _check_immutable(obj, old)
    yield from _check_keys(obj, old)


def check_secret(obj: Json, old: Json) -> Iterator[Cause]:
    """Yield the same as for a ConfigMap, and a change of the type."""
    if old is not None and obj.get("type") != old.get("type"):
        message = f"Invalid value: {spell_str(str(obj.get('type')))}: field is immutable"
        yield Cause("FieldValueInvalid", message, "type")
    yield from _check_immutable(obj, old)
    yield from _check_keys(obj, old)


def default_secret(obj: Json) -> None:
    """Move `stringData` into `data`, and fill in the type."""
    texts = obj.pop("stringData", None)
    if texts:
        coded = {key: base64.b64encode((text or "").encode()).decode() for key, text in texts.items()}
        obj["data"] = {**(obj.get("data") or {}), **coded}
    if not obj.get("type"):
        obj["type"] = "Opaque"


def check_lease(obj: Json, _old: Json) -> Iterator[Cause]:
    """Yield durations and counts that are too small."""
    spec = obj.get("spec") or {}
    for key, least, why in (
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ):
        if spec.get(key) is not None and spec[key] < least:
            yield Cause("FieldValueInvalid", f"Invalid value: {spec[key]}: {why}", f"spec.{key}")


def initialize_namespace(obj: Json) -> None:
    """Make a new namespace active."""
    obj["spec"] = {"finalizers": ["kubernetes"]}
    obj["status"] = {"phase": "Active"}


def default_namespace(obj: Json) -> None:
    """Label a namespace with its name."""
    metadata = obj["metadata"]
    if metadata.get("name"):
        metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}


def initialize_pod(obj: Json) -> None:
    """Make a new pod pending."""
    obj["status"] = {"phase": "Pending"}


def check_pod(obj: Json, _old: Json) -> Iterator[Cause]:
    """Yield missing containers, names and images."""
    yield from _check_containers(obj.get("spec") or {}, "spec")


def _check_containers(spec: Json, where: str) -> Iterator[Cause]:
    containers = spec.get("containers")
    if not containers:
        yield Cause("FieldValueRequired", "Required value", f"{where}.containers")
    for index, container in enumerate(containers or []):
        for key in ("name", "image"):
            if not container.get(key):
                yield Cause("FieldValueRequired", "Required value", f"{where}.containers[{index}].{key}")


def default_job(obj: Json) -> None:
    """Fill in the defaults of a Job's spec."""
    spec = obj["spec"] = dict(obj.get("spec") or {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    for key, default in (
        *(("parallelism", 1), ("backoffLimit", 6), ("completionMode", "NonIndexed")),
        *(("suspend", False), ("manualSelector", False), ("podReplacementPolicy", "TerminatingOrFailed")),
    ):
        if spec.get(key) is None:
            spec[key] = default


def initialize_job(obj: Json) -> None:
    """Let a new Job select its pods by its uid."""
    metadata, spec = obj["metadata"], obj["spec"]
    obj["status"] = {}
    if spec.get("manualSelector"):
        return
    uid, name = metadata["uid"], metadata["name"]
    labels = {
        CONTROLLER_UID: uid,
        JOB_NAME: name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = dict(spec.get("template") or {})
    template["metadata"] = dict(template.get("metadata") or {})
    template["metadata"]["labels"] = {**(template["metadata"].get("labels") or {}), **labels}
    spec["template"] = template
    spec["selector"] = {"matchLabels": {CONTROLLER_UID: uid}}
    if not metadata.get("labels"):
        metadata["labels"] = template["metadata"]["labels"]


def check_job(obj: Json, _old: Json) -> Iterator[Cause]:
    """Yield wrong counts, containers and restart policies."""
    spec = obj["spec"]
    for key in ("parallelism", "completions", "backoffLimit"):
        if spec.get(key) is not None and spec[key] < 0:
            why = f"Invalid value: {spec[key]}: must be greater than or equal to 0"
            yield Cause("FieldValueInvalid", why, f"spec.{key}")
    template = (spec.get("template") or {}).get("spec") or {}
    yield from _check_containers(template, "spec.template.spec")
    policy = template.get("restartPolicy")
    where = "spec.template.spec.restartPolicy"
    if policy is None or policy == "Always":
        yield Cause("FieldValueRequired", 'Required value: valid values: "OnFailure", "Never"', where)
    elif policy not in ("OnFailure", "Never"):
        why = f'Unsupported value: {spell_str(policy)}: supported values: "OnFailure", "Never"'
        yield Cause("FieldValueNotSupported", why, where)
    if spec["completionMode"] == "Indexed" and spec.get("completions") is None:
        why = "Required value: when completion mode is Indexed"
        yield Cause("FieldValueRequired", why, "spec.completions")


def check_event(obj: Json, old: Json) -> Iterator[Cause]:
    """Yield an Event that is not in the namespace of its object."""
    if old is None:
        involved, namespace = (obj.get("involvedObject") or {}).get("namespace", ""), obj["metadata"].get("namespace")
        if involved != namespace and not (involved == "" and namespace == "default"):
            why = f"Invalid value: {spell_str(involved)}: does not match event.namespace"
            yield Cause("FieldValueInvalid", why, "involvedObject.namespace")
