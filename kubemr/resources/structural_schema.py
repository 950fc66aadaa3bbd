"""Apply a structural schema to a custom resource as the apiserver does: prune, default, check.

The order on every write is the apiserver's:

1. `prune` removes the fields that the schema does not name, and returns them: `fieldValidation=Strict` turns them into
   a rejection.
2. `apply_defaults` drops nulls that are not allowed and fills in `default:`.
3. `check` reports what is still wrong, in the words of the real server: `SchemaError.kind`, `.path` and `.detail` are
   `reason`, `field` and `message` of a cause in the `Status` that it answers with.

The rules in CEL (`x-kubernetes-validations`) are not evaluated here; see `kubemr.resources.cel_evaluation`.
Only the keywords in `KEYWORDS` are supported, and `check` rejects a schema that has others, rather than ignore them.
Sources: `apiextensions-apiserver/pkg/apiserver/schema` and `kube-openapi/pkg/validation/validate` of Kubernetes 1.36.
"""

from __future__ import annotations

import copy
import datetime
import math
import re
from collections.abc import Iterator
from functools import lru_cache

from attrs import field, frozen

from kubemr.resources.go_format import bad_value, marshal, number, quote
from kubemr.resources.json_types import Json, Schema

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
"""The schema keywords that this module supports."""

TYPE_META = frozenset(("apiVersion", "kind", "metadata"))

INVALID = "FieldValueInvalid"
TYPE_INVALID = "FieldValueTypeInvalid"
REQUIRED = "FieldValueRequired"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
NOT_SUPPORTED = "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"

BLOCKING = frozenset((NOT_SUPPORTED, REQUIRED, TYPE_INVALID, TOO_LONG, TOO_MANY))
"""Kinds of errors after which the apiserver does not evaluate CEL rules."""

_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})", re.ASCII)


@frozen
class SchemaError:
    """A value that a schema rejects, in the apiserver's words.

    - `path`: the field, e.g. `spec.steps[0].mapper`
    - `detail`: the message without the path, e.g.
      `Invalid value: "string": spec.replicas in body must be of type integer: "string"`
    - `kind`: the cause's reason, e.g. `FieldValueInvalid`

    For a caller that words the error itself, there are also the schema's `keyword`, the rejected `value` and the
    `schema` of the field.
    """

    path: str
    detail: str
    kind: str
    keyword: str = field(default="", eq=False, repr=False)
    value: Json = field(default=None, eq=False, repr=False)
    schema: Schema = field(factory=dict, eq=False, repr=False)

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"

    def cause(self) -> dict[str, str]:
        """Return the entry of `details.causes` in the apiserver's `Status`."""
        return {"reason": self.kind, "message": self.detail, "field": self.path}


def prune(obj: Json, schema: Schema) -> list[str]:
    """Remove from a whole object, in place, the fields that `schema` does not name.

    `apiVersion`, `kind` and `metadata` of the object itself stay.  Returns the paths of the removed fields, sorted.
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
    """Return the schema of the member `key`: its property, else `additionalProperties`, else None."""
    properties: dict[str, Schema] = schema.get("properties", {})
    child: Schema | None = properties.get(key)
    return schema.get("additionalProperties") if child is None else child


def apply_defaults(obj: Json, schema: Schema) -> None:
    """Drop the nulls that are not allowed, then fill in `default:`, in place."""
    _drop_nulls(obj, schema)
    _fill_defaults(obj, schema)


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


def _fill_defaults(value: Json, schema: Schema) -> None:
    if isinstance(value, dict):
        for key, child in schema.get("properties", {}).items():
            if "default" in child and (key not in value or (value[key] is None and not child.get("nullable"))):
                value[key] = copy.deepcopy(child["default"])
        for key, member in value.items():
            of_member = _member_schema(schema, key)
            if of_member is not None:
                _fill_defaults(member, of_member)
    elif isinstance(value, list):
        items = schema.get("items", {})
        for index, item in enumerate(value):
            if item is None and "default" in items and not items.get("nullable"):
                value[index] = copy.deepcopy(items["default"])
            _fill_defaults(value[index], items)


def check(obj: Json, schema: Schema) -> list[SchemaError]:
    """Return everything in `obj` that `schema` rejects, in the order of the schema; empty if it is valid.

    Raises ValueError for a schema with a keyword that is not in `KEYWORDS`.
    """
    _check_keywords(schema)
    return [*_check(obj, schema, ""), *_duplicates(obj, schema, "")]


_checked_schemas: dict[int, Schema] = {}


def _check_keywords(schema: Schema) -> None:
    if id(schema) in _checked_schemas and _checked_schemas[id(schema)] is schema:
        return
    for path, node in _nodes(schema, ""):
        unknown = sorted(set(node) - KEYWORDS)
        if unknown:
            raise ValueError(f"schema{path or '.'}: keyword {unknown[0]!r} is not understood; use one of {KEYWORDS}")
    if len(_checked_schemas) > 64:
        _checked_schemas.clear()
    _checked_schemas[id(schema)] = schema


def _nodes(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for key, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{key}")
    for keyword in ("additionalProperties", "items"):
        if isinstance(schema.get(keyword), dict):
            yield from _nodes(schema[keyword], f"{path}.{keyword}")


@frozen
class _Node:
    """A value under check: its path, and the schema that it is checked against."""

    value: Json
    schema: Schema
    path: str

    def invalid(self, keyword: str, message: str, shown: Json = None, kind: str = INVALID) -> SchemaError:
        """Return an error in which `shown`, if given, is printed instead of the value."""
        text = bad_value(self.value if shown is None else shown)
        return self.error(keyword, f"Invalid value: {text}: {self.path} in body {message}", kind)

    def too_many(self, keyword: str) -> SchemaError:
        most = self.schema[keyword]
        detail = f"Too many: {len(self.value)}: must have at most {most} item{'s'[: most != 1]}"
        return self.error(keyword, detail, TOO_MANY)

    def error(self, keyword: str, detail: str, kind: str) -> SchemaError:
        return SchemaError(_cause_field(self.path), detail, kind, keyword, self.value, self.schema)


def _cause_field(path: str) -> str:
    """Return the name of the field in a cause; the apiserver calls the object itself `<nil>`."""
    return path.removeprefix(".") or "<nil>"


def _check(value: Json, schema: Schema, path: str) -> Iterator[SchemaError]:
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        value = _as_float(value)  # as the apiserver decodes it
    node = _Node(value, schema, path)
    types = ["integer", "string"] if schema.get("x-kubernetes-int-or-string") else []
    if "type" in schema:
        types = [schema["type"]]
    yield from _check_type(node, types)
    if isinstance(value, str):
        yield from _check_string(node, value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _check_number(node, types)
    elif isinstance(value, list):
        yield from _check_list(node)
    if "enum" in schema and value not in schema["enum"] and not (value is None and schema.get("nullable")):
        supported = ", ".join(quote(v) if isinstance(v, str) else quote(marshal(v)) for v in schema["enum"])
        yield node.error("enum", f"Unsupported value: {bad_value(value)}: supported values: {supported}", NOT_SUPPORTED)
    if isinstance(value, dict):
        yield from _check_object(node)


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def type_name(value: Json) -> str:
    """Return the JSON Schema type of a decoded value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    for kind, name in ((str, "string"), (int, "integer"), (float, "number"), (list, "array"), (dict, "object")):
        if isinstance(value, kind):
            return name
    raise TypeError(f"{value!r} is not a JSON value")


def _check_type(node: _Node, types: list[str]) -> Iterator[SchemaError]:
    if not types:
        return
    have, value = type_name(node.value), node.value
    if have in types or (have == "null" and node.schema.get("nullable")):
        return
    if have == "number" and "integer" in types and value.is_integer() and abs(value) < 2**53:
        return
    if have == "integer" and "number" in types:
        return
    want = ",".join(types)
    if types == ["integer"] and "format" in node.schema and have in ("number", "boolean", "object"):
        want, have = node.schema["format"], "float64" if have == "number" else ""
    yield node.invalid("type", f"must be of type {want}: {quote(have)}", have, TYPE_INVALID)


def _check_string(node: _Node, value: str) -> Iterator[SchemaError]:
    """Report at most one of length and pattern, as the apiserver does."""
    schema = node.schema
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is not None and len(value) > longest:
        detail = f"Too long: may not be more than {longest} byte{'s'[: longest != 1]}"
        yield node.error("maxLength", detail, TOO_LONG)
    elif shortest is not None and len(value) < shortest:
        yield node.invalid("minLength", f"should be at least {shortest} chars long")
    elif pattern is not None and not compile_pattern(pattern).search(value):
        yield node.invalid("pattern", f"should match '{pattern}'")
    if schema.get("format") == "date-time" and not _is_date_time(value):
        yield node.invalid("format", f"must be of type date-time: {quote(value)}", kind=TYPE_INVALID)


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a `pattern:` with the meaning that it has in Go: ASCII classes, and `$` only at the very end."""
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


def _check_number(node: _Node, types: list[str]) -> Iterator[SchemaError]:
    value, schema = node.value, node.schema
    if types == ["integer"]:
        low, high = _RANGES[schema.get("format", "int64")]
        if not math.isfinite(value) or value != int(value) or not low <= value <= high:
            what = f"with format {schema['format']}" if "format" in schema else "(default format)"
            message = f"Checked value must be of type integer {what} in {node.path}"
            yield SchemaError("<nil>", f'Invalid value: "": {message}', INVALID)
    smallest, largest = schema.get("minimum"), schema.get("maximum")
    if largest is not None and value > largest:
        yield node.invalid("maximum", f"should be less than or equal to {number(largest)}")
    if smallest is not None and value < smallest:
        yield node.invalid("minimum", f"should be greater than or equal to {number(smallest)}")


def _check_list(node: _Node) -> Iterator[SchemaError]:
    value, schema = node.value, node.schema
    if "items" in schema:
        for index, item in enumerate(value):
            yield from _check(item, schema["items"], f"{node.path}[{index}]")
    if len(value) < schema.get("minItems", 0):
        yield node.invalid("minItems", f"should have at least {schema['minItems']} items", len(value))
    if len(value) > schema.get("maxItems", len(value)):
        yield node.too_many("maxItems")


def _check_object(node: _Node) -> Iterator[SchemaError]:
    value, schema, path = node.value, node.schema, node.path
    fewest = schema.get("minProperties", 0)
    if len(value) < fewest:
        yield node.invalid("minProperties", f"should have at least {fewest} properties", len(value))
    if len(value) > schema.get("maxProperties", len(value)):
        yield node.too_many("maxProperties")
    properties, additional = schema.get("properties", {}), schema.get("additionalProperties")
    if additional is not None:
        for key, member in value.items():
            if key not in properties:
                yield from _check(member, additional, f"{path}.{key}")
    for key, child in properties.items():
        if key in value:
            yield from _check(value[key], child, f"{path}.{key}" if path else key)
    for key in schema.get("required", ()):
        if key not in value:
            missing = _Node(None, properties.get(key, {}), f"{path}.{key}")
            yield missing.error("required", "Required value", REQUIRED)


def _duplicates(value: Json, schema: Schema, path: str) -> Iterator[SchemaError]:
    """Yield duplicates that `x-kubernetes-list-type: set` and `map` forbid."""
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
                node = _Node(identity, schema, f"{path}[{index}]")
                yield node.error("x-kubernetes-list-type", f"Duplicate value: {bad_value(identity)}", DUPLICATE)
            seen.add(text)
            yield from _duplicates(item, items, f"{path}[{index}]")
