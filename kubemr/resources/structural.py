"""What the apiserver does with a custom resource and its structural schema: prune, default, check.

The order on every write is the apiserver's own:

1. `prune` removes the fields that the schema does not name (and says which: `fieldValidation=Strict`
   turns them into a refusal).
2. `apply_defaults` drops nulls that are not allowed and fills in `default:`.
3. `check` reports what is still wrong, in the words of the real server: `SchemaError.kind`, `.path`
   and `.detail` are `reason`, `field` and `message` of a cause in the `Status` it answers with.

The rules in CEL (`x-kubernetes-validations`) are not evaluated here; see `kubemr.resources.rules`.
Only the keywords in `KEYWORDS` are understood, and `check` refuses a schema that has others rather
than pass over them.  Sources: `apiextensions-apiserver/pkg/apiserver/schema` and
`kube-openapi/pkg/validation/validate` of Kubernetes 1.36.
"""

from __future__ import annotations

import copy
import datetime
import re
from collections.abc import Iterator
from functools import lru_cache

from attrs import frozen

from kubemr.resources.gotext import bad_value, marshal, number, quote
from kubemr.resources.jsontypes import Json, Schema

KEYWORDS = frozenset(
    (
        *("type", "format", "description", "title", "default", "nullable", "enum"),
        *("pattern", "minLength", "maxLength", "minimum", "maximum"),
        *("items", "minItems", "maxItems"),
        *("properties", "additionalProperties", "required", "minProperties", "maxProperties"),
        *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"),
        *("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"),
        "x-kubernetes-validations",
    )
)
"""The schema keywords that this module understands."""

TYPE_META = frozenset(("apiVersion", "kind", "metadata"))

INVALID = "FieldValueInvalid"
TYPE_INVALID = "FieldValueTypeInvalid"
REQUIRED = "FieldValueRequired"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
NOT_SUPPORTED = "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"

BLOCKING = frozenset((REQUIRED, TYPE_INVALID, TOO_LONG, TOO_MANY))
"""Kinds of errors after which the apiserver does not evaluate CEL rules."""

_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})", re.ASCII)


@frozen
class SchemaError:
    """One thing that a schema refuses, in the apiserver's words.

    `path` is the field, e.g. `spec.steps[0].mapper`; `detail` the message without the path, e.g.
    `Invalid value: "string": spec.replicas in body must be of type integer: "string"`; `kind` the
    cause's reason, e.g. `FieldValueInvalid`.
    """

    path: str
    detail: str
    kind: str

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"

    def cause(self) -> dict[str, str]:
        """The entry of `details.causes` in the apiserver's `Status`."""
        return {"reason": self.kind, "message": self.detail, "field": self.path}


def prune(obj: Json, schema: Schema) -> list[str]:
    """Remove from a whole object, in place, the fields that `schema` does not name.

    `apiVersion`, `kind` and `metadata` of the object itself stay.  Returns the paths of what was
    removed, sorted.
    """
    removed: list[str] = []
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return removed
    for key in list(obj):
        if key not in TYPE_META:
            _prune_member(obj, key, schema, "", removed)
    return sorted(removed)


def _prune_member(obj: dict[str, Json], key: str, schema: Schema, path: str, removed: list[str]) -> None:
    child = _member_schema(schema, key)
    where = f"{path}.{key}" if path else key
    if child is not None:
        _prune(obj[key], child, where, removed)
    elif not schema.get("x-kubernetes-preserve-unknown-fields"):
        removed.append(where)
        del obj[key]


def _prune(value: Json, schema: Schema, path: str, removed: list[str]) -> None:
    if isinstance(value, dict):
        embedded = schema.get("x-kubernetes-embedded-resource")
        for key in list(value):
            if not (embedded and key in TYPE_META):
                _prune_member(value, key, schema, path, removed)
    elif isinstance(value, list):
        items = schema.get("items")
        if items is None and schema.get("x-kubernetes-preserve-unknown-fields"):
            return
        for index, item in enumerate(value):
            _prune(item, items or {}, f"{path}[{index}]", removed)


def _member_schema(schema: Schema, key: str) -> Schema | None:
    """The schema of the member `key`: its property, else `additionalProperties`, else None."""
    properties: dict[str, Schema] = schema.get("properties", {})
    child: Schema | None = properties.get(key)
    return schema.get("additionalProperties") if child is None else child


def apply_defaults(obj: Json, schema: Schema) -> None:
    """Drop the nulls that are not allowed, then fill in `default:`, in place."""
    _drop_nulls(obj, schema)
    _default(obj, schema)


def _drop_nulls(value: Json, schema: Schema) -> None:
    if isinstance(value, dict):
        for key in list(value):
            child = _member_schema(schema, key)
            if child is None:
                continue
            if value[key] is None and not child.get("nullable") and "default" not in child:
                del value[key]
            else:
                _drop_nulls(value[key], child)
    elif isinstance(value, list):
        for item in value:
            _drop_nulls(item, schema.get("items", {}))


def _default(value: Json, schema: Schema) -> None:
    if isinstance(value, dict):
        for key, child in schema.get("properties", {}).items():
            if "default" in child and (key not in value or (value[key] is None and not child.get("nullable"))):
                value[key] = copy.deepcopy(child["default"])
        for key, member in value.items():
            of_member = _member_schema(schema, key)
            if of_member is not None:
                _default(member, of_member)
    elif isinstance(value, list):
        items = schema.get("items", {})
        for index, item in enumerate(value):
            if item is None and "default" in items and not items.get("nullable"):
                value[index] = copy.deepcopy(items["default"])
            _default(value[index], items)


def check(obj: Json, schema: Schema) -> list[SchemaError]:
    """Everything in `obj` that `schema` refuses, in the order of the schema; empty when it is valid.

    Raises ValueError for a schema with a keyword that is not in `KEYWORDS`.
    """
    _understood(schema)
    return [*_check(obj, schema, ""), *_duplicates(obj, schema, "")]


_seen: dict[int, Schema] = {}


def _understood(schema: Schema) -> None:
    if id(schema) in _seen and _seen[id(schema)] is schema:
        return
    for path, node in _nodes(schema, ""):
        unknown = sorted(set(node) - KEYWORDS)
        if unknown:
            raise ValueError(f"schema{path or '.'}: keyword {unknown[0]!r} is not understood; use one of {KEYWORDS}")
    if len(_seen) > 64:
        _seen.clear()
    _seen[id(schema)] = schema


def _nodes(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for key, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{key}")
    for keyword in ("additionalProperties", "items"):
        if isinstance(schema.get(keyword), dict):
            yield from _nodes(schema[keyword], f"{path}.{keyword}")


def _invalid(path: str, value: Json, message: str, kind: str = INVALID) -> SchemaError:
    return SchemaError(_field(path), f"Invalid value: {bad_value(value)}: {message}", kind)


def _field(path: str) -> str:
    """The name of the field in a cause; `<nil>` is what the apiserver calls the object itself."""
    return path.removeprefix(".") or "<nil>"


def _check(value: Json, schema: Schema, path: str) -> Iterator[SchemaError]:
    types = ["integer", "string"] if schema.get("x-kubernetes-int-or-string") else []
    if "type" in schema:
        types = [schema["type"]]
    yield from _check_type(value, types, schema, path)
    if isinstance(value, str):
        yield from _check_string(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _check_number(value, types, schema, path)
    elif isinstance(value, list):
        yield from _check_list(value, schema, path)
    if "enum" in schema and value not in schema["enum"] and not (value is None and schema.get("nullable")):
        supported = ", ".join(quote(v) if isinstance(v, str) else quote(marshal(v)) for v in schema["enum"])
        detail = f"Unsupported value: {bad_value(value)}: supported values: {supported}"
        yield SchemaError(_field(path), detail, NOT_SUPPORTED)
    if isinstance(value, dict):
        yield from _check_object(value, schema, path)


def type_name(value: Json) -> str:
    """The JSON Schema type of a decoded value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    for kind, name in ((str, "string"), (int, "integer"), (float, "number"), (list, "array"), (dict, "object")):
        if isinstance(value, kind):
            return name
    raise TypeError(f"{value!r} is not a JSON value")


def _check_type(value: Json, types: list[str], schema: Schema, path: str) -> Iterator[SchemaError]:
    if not types:
        return
    have = type_name(value)
    if have in types or (have == "null" and schema.get("nullable")):
        return
    if have == "number" and "integer" in types and value.is_integer():
        return
    if have == "integer" and "number" in types:
        return
    message = f"{path} in body must be of type {','.join(types)}: {quote(have)}"
    yield _invalid(path, have, message, TYPE_INVALID)


def _check_string(value: str, schema: Schema, path: str) -> Iterator[SchemaError]:
    """At most one of length and pattern is reported, as by the apiserver."""
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is not None and len(value) > longest:
        yield SchemaError(_field(path), f"Too long: may not be more than {longest} byte{'s'[: longest != 1]}", TOO_LONG)
    elif shortest is not None and len(value) < shortest:
        yield _invalid(path, value, f"{path} in body should be at least {shortest} chars long")
    elif pattern is not None and not compile_pattern(pattern).search(value):
        yield _invalid(path, value, f"{path} in body should match '{pattern}'")
    if schema.get("format") == "date-time" and not _is_date_time(value):
        yield _invalid(path, value, f"{path} in body must be of type date-time: {quote(value)}", TYPE_INVALID)


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A `pattern:` with the meaning it has in Go: ASCII classes, and `$` only at the very end."""
    out, in_class, index = [], False, 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            pair = pattern[index : index + 2]
            out.append("\\Z" if pair == "\\z" else pair)
            index += 2
            continue
        if char == "[":
            in_class = True
        elif char == "]":
            in_class = False
        out.append("\\Z" if char == "$" and not in_class else char)
        index += 1
    return re.compile("".join(out), re.ASCII)


def _is_date_time(value: str) -> bool:
    if not _DATE_TIME.fullmatch(value):
        return False
    try:
        datetime.datetime.fromisoformat(value.upper().replace(" ", "T"))
    except ValueError:
        return False
    return True


def _check_number(value: float, types: list[str], schema: Schema, path: str) -> Iterator[SchemaError]:
    if types == ["integer"]:
        low, high = _RANGES[schema.get("format", "int64")]
        if value != int(value) or not low <= value <= high:
            what = f"with format {schema['format']}" if "format" in schema else "(default format)"
            message = f"Checked value must be of type integer {what} in {path}"
            yield SchemaError("<nil>", f'Invalid value: "": {message}', INVALID)
    smallest, largest = schema.get("minimum"), schema.get("maximum")
    if smallest is not None and value < smallest:
        yield _invalid(path, value, f"{path} in body should be greater than or equal to {number(smallest)}")
    if largest is not None and value > largest:
        yield _invalid(path, value, f"{path} in body should be less than or equal to {number(largest)}")


def _check_list(value: list[Json], schema: Schema, path: str) -> Iterator[SchemaError]:
    if "items" in schema:
        for index, item in enumerate(value):
            yield from _check(item, schema["items"], f"{path}[{index}]")
    if len(value) < schema.get("minItems", 0):
        message = f"{path} in body should have at least {schema['minItems']} items"
        yield _invalid(path, len(value), message)
    most = schema.get("maxItems")
    if most is not None and len(value) > most:
        yield _too_many(path, len(value), most)


def _too_many(path: str, count: int, most: int) -> SchemaError:
    detail = f"Too many: {count}: must have at most {most} item{'s'[: most != 1]}"
    return SchemaError(_field(path), detail, TOO_MANY)


def _check_object(value: dict[str, Json], schema: Schema, path: str) -> Iterator[SchemaError]:
    fewest, most = schema.get("minProperties"), schema.get("maxProperties")
    if fewest is not None and len(value) < fewest:
        yield _invalid(path, len(value), f"{path} in body should have at least {fewest} properties")
    if most is not None and len(value) > most:
        yield _too_many(path, len(value), most)
    properties, additional = schema.get("properties", {}), schema.get("additionalProperties")
    if isinstance(additional, dict):
        for key, member in value.items():
            if key not in properties:
                yield from _check(member, additional, f"{path}.{key}")
    for key, child in properties.items():
        if key in value:
            yield from _check(value[key], child, f"{path}.{key}" if path else key)
    for key in schema.get("required", ()):
        if key not in value:
            yield SchemaError(_field(f"{path}.{key}"), "Required value", REQUIRED)


def _duplicates(value: Json, schema: Schema, path: str) -> Iterator[SchemaError]:
    """Breaches of `x-kubernetes-list-type: set` and `map`."""
    if isinstance(value, dict):
        for key, member in value.items():
            child = _member_schema(schema, key)
            if child is not None:
                yield from _duplicates(member, child, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        items, kind = schema.get("items", {}), schema.get("x-kubernetes-list-type", "atomic")
        seen: set[str] = set()
        for index, item in enumerate(value):
            identity = item
            if kind == "map" and isinstance(item, dict):
                identity = {key: item[key] for key in schema["x-kubernetes-list-map-keys"] if key in item}
            text = marshal(identity)
            if kind != "atomic" and text in seen:
                yield SchemaError(f"{path}[{index}]", f"Duplicate value: {bad_value(identity)}", DUPLICATE)
            seen.add(text)
            yield from _duplicates(item, items, f"{path}[{index}]")
