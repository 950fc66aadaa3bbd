"""Derive the structural OpenAPI schema of a resource type from its attrs class."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import attrs

from kubemr.resources.cel_rule import Rule, rules_of
from kubemr.resources.fields import Field, Quantity, fields_of, is_class, without_none
from kubemr.resources.json_types import Json, Schema

_META_KEYS = ("apiVersion", "kind", "metadata")


def object_schema(cls: type, extra_rules: dict[type, tuple[Rule, ...]] | None = None) -> Schema:
    """Return the schema of a class.  `extra_rules` are added to the rules of a class itself."""
    extra = extra_rules or {}
    schema: Schema = {"type": "object", "description": summary(cls)}
    required = [field.key for field in fields_of(cls) if field.required]
    if required:
        schema["required"] = required
    schema["properties"] = {field.key: _field_schema(field, extra) for field in fields_of(cls)}
    rules = [rule.to_schema() for rule in (*rules_of(cls), *extra.get(cls, ()))]
    if rules:
        schema["x-kubernetes-validations"] = rules
    return schema


def summary(cls: type) -> str:
    """Return the docstring of a resource type as one paragraph."""
    return " ".join((cls.__doc__ or "").split())


def _field_schema(field: Field, extra: dict[type, tuple[Rule, ...]]) -> Schema:
    rest = field.prop
    text = rest.doc if not rest.unset else f"{rest.doc}  Without it: {rest.unset}."
    if field.key in _META_KEYS:
        return {"type": "object" if field.key == "metadata" else "string"}
    schema = _type_schema(field.type, rest.items, extra)
    schema["description"] = text
    if field.default is not attrs.NOTHING:
        schema["default"] = field.default
    for keyword, value in rest.keywords.items():
        if keyword == "xListMapKeys":
            schema["x-kubernetes-list-type"], schema["x-kubernetes-list-map-keys"] = "map", value
        elif keyword == "xMapType":
            schema["x-kubernetes-map-type"] = value
        else:
            schema[keyword] = value
    return schema


def _type_schema(hint: Any, items: Schema, extra: dict[type, tuple[Rule, ...]]) -> Schema:
    hint = without_none(hint)
    if is_class(hint):
        return object_schema(hint, extra)
    if hint is str:
        return {"type": "string"}
    if hint is bool:
        return {"type": "boolean"}
    if hint is int:
        return {"type": "integer", "format": "int64"}
    if hint is Quantity:
        return {"x-kubernetes-int-or-string": True}
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"type": "string", "enum": list(args)}
    if origin is list:
        return {"type": "array", "items": {**_type_schema(args[0], {}, extra), **items}}
    if origin is dict and args[1] is Json:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if origin is dict:
        return {"type": "object", "additionalProperties": {**_type_schema(args[1], {}, extra), **items}}
    raise TypeError(f"{hint!r} has no schema; use str, int, bool, Quantity, Literal, list, dict or an attrs class")
