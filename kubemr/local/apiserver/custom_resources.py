"""Serve custom resources: definitions (CRDs), and the strategy that a definition's schema gives its kind.

A write prunes unknown fields, fills in defaults and checks the structural schema, in this order, with
`kubemr.resources.structural_schema`.  Rules in CEL are not evaluated (see `docs/embedded-apiserver.md`).
What a write does not change was checked when it was written.  So only the changed top-level members are checked, and
the whole object only to word an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from attr import frozen

from kubemr.local.apiserver.errors import Cause
from kubemr.local.apiserver.kinds import Kind
from kubemr.local.apiserver.metadata import decode_metadata
from kubemr.locks.effects import Json, Resource
from kubemr.resources import structural_schema

CRD_GROUP = "apiextensions.k8s.io"
Rules: TypeAlias = Callable[[Json, Json], Sequence[Cause]]
"""The rules of a kind that its structural schema lacks, as a function of an object and the one before it (or None)."""

_TYPE_META = ("apiVersion", "kind", "metadata")


def deep_copy(value: Json) -> Json:
    """Return a copy that shares no container with `value`."""
    if isinstance(value, dict):
        return {key: deep_copy(member) if isinstance(member, dict | list) else member for key, member in value.items()}
    if isinstance(value, list):
        return [deep_copy(item) if isinstance(item, dict | list) else item for item in value]
    return value


_BLOCKING: Final = structural_schema.BLOCKING | {structural_schema.NOT_SUPPORTED}
_RULES_NOT_CHECKED: Final = Cause(
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation",
    "<nil>",
)


def _no_rules(_obj: Json, _old: Json) -> Sequence[Cause]:
    return ()


@frozen
class CustomStrategy:
    """The strategy of a custom kind, which follows from its structural `schema`."""

    kind: str
    schema: Json
    status: bool
    replicas_path: tuple[str, ...] = ()
    status_path: tuple[str, ...] = ()
    has_rules: bool = False
    rules: Rules = _no_rules

    def decode(self, body: Json) -> list[str]:
        """Copy the parts that may be pruned or defaulted, and prune."""
        dropped = decode_metadata(body)
        for key in body:
            if key not in _TYPE_META:
                body[key] = deep_copy(body[key])
        return [*structural_schema.prune(body, self.schema), *dropped]

    def create(self, obj: Json) -> None:
        """Remove a status, which a client cannot create if it is a subresource, and fill in defaults."""
        if self.status:
            obj.pop("status", None)
        structural_schema.apply_defaults(obj, self.schema)

    def update(self, obj: Json, old: Json) -> None:
        """Fill in defaults."""
        structural_schema.apply_defaults(obj, self.schema)

    def check(self, obj: Json, old: Json, subresource: str | None) -> Sequence[Cause]:
        """Return what the schema and the rules reject."""
        if subresource == "status":
            return self._check_status(obj, old)
        if old is not None and not self._changed_is_wrong(obj, old):
            return self.rules(obj, old)
        errors = structural_schema.check(_without_type_meta(obj), self.schema)
        causes = [Cause(error.kind, error.detail, error.path) for error in errors]
        return self._with_rules([*causes, *self._check_replicas(obj, self.replicas_path)], obj, old)

    def _with_rules(self, causes: list[Cause], obj: Json, old: Json) -> Sequence[Cause]:
        """Add what the rules reject.

        As in the real server, the rules are not evaluated if the shape of the object is wrong.
        """
        if not any(cause.reason in _BLOCKING for cause in causes):
            return [*causes, *self.rules(obj, old)]
        return [*causes, _RULES_NOT_CHECKED] if self.has_rules else causes

    def _check_status(self, obj: Json, old: Json) -> Sequence[Cause]:
        """Check only the status, as a document of its own, so that messages name the fields below it."""
        schema = self.schema.get("properties", {}).get("status")
        if schema is None or "status" not in obj:
            return self.rules(obj, old)
        causes = [
            Cause(error.kind, error.detail, "status" if error.path == "<nil>" else f"status.{error.path}")
            for error in structural_schema.check(obj["status"], schema)
        ]
        return self._with_rules([*causes, *self._check_replicas(obj, self.status_path)], obj, old)

    def _changed_is_wrong(self, obj: Json, old: Json) -> bool:
        changed = {key: value for key, value in obj.items() if key not in _TYPE_META and old.get(key, _ABSENT) != value}
        removed = any(key not in obj for key in old)
        properties = self.schema.get("properties", {})
        if removed or any(key not in properties for key in changed):
            return True
        part = {"type": "object", "properties": {key: properties[key] for key in changed}}
        return bool(structural_schema.check(changed, part)) or bool(self._check_replicas(obj, self.replicas_path))

    @staticmethod
    def _check_replicas(obj: Json, path: tuple[str, ...]) -> list[Cause]:
        """Check that a path of the scale subresource leads to a number that is not negative."""
        at, where = obj, "." + ".".join(path)
        for part in path:
            if not isinstance(at, dict):
                why = f"Invalid value: 0: {where} accessor error: {_go_type_of(at)}, expected map[string]interface{{}}"
                return [Cause("FieldValueInvalid", why, where)]
            at = at.get(part)
            if at is None:
                return []
        if path and (not isinstance(at, int) or isinstance(at, bool)):
            why = f"Invalid value: 0: {where} accessor error: {_go_type_of(at)}, expected int64"
            return [Cause("FieldValueInvalid", why, where)]
        if path and at < 0:
            return [Cause("FieldValueInvalid", f"Invalid value: {at}: should be a non-negative integer", where)]
        return []


_ABSENT = object()


def _go_type_of(value: Json) -> str:
    names = ((bool, "bool"), (int, "int64"), (float, "float64"), (str, "string"))
    for kind, name in names:
        if isinstance(value, kind):
            return f"{str(value).lower() if kind is bool else value} is of the type {name}"
    if isinstance(value, dict):
        return "map[] is of the type map[string]interface {}"
    return "[] is of the type []interface {}"


def _without_type_meta(obj: Json) -> Json:
    """Return the part that the schema checks: `metadata` has its own rules."""
    return {key: value for key, value in obj.items() if key not in _TYPE_META}


def kinds_of(definition: Json, rules: Mapping[tuple[str, str], Rules]) -> list[Kind]:
    """Return the kinds, one per served version, that a definition adds to the server; `rules` by group and kind."""
    spec = definition["spec"]
    names = spec["names"]
    found = []
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        subresources = version.get("subresources") or {}
        scale, status = subresources.get("scale"), "status" in subresources
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {"x-kubernetes-preserve-unknown-fields": True}
        path, status_path = (
            tuple(scale[key].removeprefix(".").split(".")) if scale else ()
            for key in ("specReplicasPath", "statusReplicasPath")
        )
        found.append(
            Kind(
                Resource(spec["group"], version["name"], names["plural"], spec.get("scope") == "Namespaced"),
                names["kind"],
                names.get("singular") or names["kind"].lower(),
                CustomStrategy(
                    names["kind"],
                    schema,
                    status,
                    path,
                    status_path,
                    _has_rules(schema),
                    rules.get((spec["group"], names["kind"]), _no_rules),
                ),
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                fields=("metadata.name", "metadata.namespace", *_selectable(version)),
                status=status,
                scale=scale,
                generation=True,
                custom=True,
                unconditional_update=False,
                columns=tuple(version.get("additionalPrinterColumns") or ()),
                list_name=names.get("listKind") or names["kind"] + "List",
            )
        )
    return found


def _has_rules(schema: Json) -> bool:
    """Find out whether a schema has CEL rules at any level."""
    if isinstance(schema, dict):
        return "x-kubernetes-validations" in schema or any(map(_has_rules, schema.values()))
    return isinstance(schema, list) and any(map(_has_rules, schema))


def _selectable(version: Json) -> list[str]:
    return [entry["jsonPath"].removeprefix(".") for entry in version.get("selectableFields") or []]


@frozen
class DefinitionStrategy:
    """The strategy of custom resource definitions."""

    def decode(self, body: Json) -> list[str]:
        """Copy a definition.  Its schema is trusted and used as it is."""
        for key in body:
            if key not in _TYPE_META:
                body[key] = deep_copy(body[key])
        return decode_metadata(body)

    def create(self, obj: Json) -> None:
        """Fill in the optional names, and a status which says that the definition is served."""
        self._complete(obj)
        names = obj["spec"]["names"]
        now = obj["metadata"]["creationTimestamp"]
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}
            for kind, reason, message in (
                ("NamesAccepted", "NoConflicts", "no conflicts found"),
                ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            )
        ]
        stored = [version["name"] for version in obj["spec"]["versions"] if version.get("storage")]
        obj["status"] = {"conditions": conditions, "acceptedNames": dict(names), "storedVersions": stored}

    def update(self, obj: Json, old: Json) -> None:
        """Fill in the optional names."""
        self._complete(obj)

    def _complete(self, obj: Json) -> None:
        names = obj["spec"]["names"]
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", names["kind"] + "List")
        obj["spec"].setdefault("conversion", {"strategy": "None"})

    def check(self, obj: Json, old: Json, subresource: str | None) -> Sequence[Cause]:
        """Check only the name, which must be `plural.group`."""
        spec = obj["spec"]
        want = f"{spec['names']['plural']}.{spec['group']}"
        if obj["metadata"]["name"] != want:
            shown = f'Invalid value: "{obj["metadata"]["name"]}": must be spec.names.plural+"."+spec.group'
            return [Cause("FieldValueInvalid", shown, "metadata.name")]
        return []


def definition_kind() -> Kind:
    """Return the kind of custom resource definitions."""
    return Kind(
        Resource(CRD_GROUP, "v1", "customresourcedefinitions", False),
        "CustomResourceDefinition",
        "customresourcedefinition",
        DefinitionStrategy(),
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        fields=("metadata.name",),
        status=True,
        generation=True,
        unconditional_update=False,
    )
