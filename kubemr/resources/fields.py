"""Describe a resource type once: its attrs class is the source of its schema, its parser and its documentation.

A resource type is an attrs class whose fields are made by `prop`.  The field's *type annotation* says what the JSON
is: `str`, `int`, `bool`, `Literal[...]` for an enum, `list[T]`, `dict[str, T]`, another class, or `X | None` if it may
be absent.  `Prop` says the rest: bounds, documentation, whether it may change.  `kubemr.resources.schema` derives
OpenAPI from both, `kubemr.resources.parse` objects.

Attributes are snake_case, JSON keys camelCase: `max_attempts` is `maxAttempts`.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

from kubemr.resources.json_types import Json, Schema

_KEY = "kubemr"


class Change(enum.Enum):
    """When a field of a spec may change after the object was created."""

    NEVER = "never"
    WITH_RESTART = "only together with a raised `restarts`"
    ALWAYS = "at any time"
    GROW = "only to a larger value"


@frozen(kw_only=True)
class Prop:
    """The properties of a field that its type does not express.

    `keywords` are schema keywords of the field itself, `items` those of a list's items or a map's values.  `unset` is
    the documented meaning of an absent field that has no default.
    """

    doc: str
    keywords: Schema
    items: Schema
    change: Change
    unset: str


def prop(
    doc: str,
    *,
    default: Any = attrs.NOTHING,
    required: bool = False,
    change: Change = Change.NEVER,
    unset: str = "",
    items: Schema | None = None,
    **keywords: Any,
) -> Any:
    """Define a field of a resource type.

    Without `default` and `required` it is optional, and None if absent.  A dict as default stands for the class's own
    defaults (`{}`).  `keywords` are schema keywords in snake_case (`max_length=64`).
    """
    rest = Prop(
        doc=doc,
        keywords={camel(key): value for key, value in keywords.items()},
        items=items or {},
        change=change,
        unset=unset,
    )
    metadata = {_KEY: rest}
    if required:
        return attrs.field(metadata=metadata)
    if default is attrs.NOTHING:
        return attrs.field(default=None, metadata=metadata)
    if isinstance(default, dict):
        metadata[_KEY] = attrs.evolve(rest, keywords={**rest.keywords, "default": default})
        return attrs.field(default=None, metadata=metadata)
    return attrs.field(default=default, metadata=metadata)


def camel(name: str) -> str:
    """Turn `max_attempts` into `maxAttempts`."""
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


@frozen(kw_only=True)
class Field:
    """A field of a resource type, with its annotation resolved."""

    attribute: str
    key: str
    type: Any
    """The type without `| None`."""
    required: bool
    default: Json
    """The default as JSON, or `attrs.NOTHING`."""
    prop: Prop


_fields: dict[type, tuple[Field, ...]] = {}


def fields_of(cls: type) -> tuple[Field, ...]:
    """Return the fields of a resource type, in the order of their definition."""
    if cls not in _fields:
        hints = get_type_hints(cls)
        _fields[cls] = tuple(_resolve_field(attribute, hints[attribute.name]) for attribute in attrs.fields(cls))
    return _fields[cls]


def _resolve_field(attribute: attrs.Attribute[Any], hint: Any) -> Field:
    rest: Prop = attribute.metadata[_KEY]
    default = attribute.default
    if default is None:
        default = rest.keywords.get("default", attrs.NOTHING)
    return Field(
        attribute=attribute.name,
        key=camel(attribute.name),
        type=without_none(hint),
        required=attribute.default is attrs.NOTHING,
        default=default,
        prop=rest,
    )


def without_none(hint: Any) -> Any:
    """Turn `X | None` into `X`."""
    if get_origin(hint) in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        return members[0] if len(members) == 1 else Union[tuple(members)]  # noqa: UP007  (built at run time)
    return hint


def is_class(hint: Any) -> bool:
    """Tell a resource type from a plain JSON type."""
    return isinstance(hint, type) and attrs.has(hint)


def walk(cls: type, path: str = "") -> Iterator[tuple[str, type, Field]]:
    """Yield every field below `cls` with its path, e.g. `spec.steps[].mapper`, parents first."""
    for field in fields_of(cls):
        here = f"{path}.{field.key}" if path else field.key
        yield here, cls, field
        yield from _walk_type(field.type, here)


def _walk_type(hint: Any, path: str) -> Iterator[tuple[str, type, Field]]:
    if is_class(hint):
        yield from walk(hint, path)
    elif get_origin(hint) is list:
        yield from _walk_type(get_args(hint)[0], f"{path}[]")
    elif get_origin(hint) is dict:
        yield from _walk_type(get_args(hint)[1], f"{path}.*")


def describe(hint: Any) -> str:
    """Return a type in words, for the reference: `string`, `list of Step`, `one of Fail, Replace`."""
    table: dict[Any, str] = {str: "string", int: "integer", bool: "boolean", Quantity: "quantity", Json: "any"}
    if hint in table:
        return table[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in args)
    if origin is list:
        return f"list of {describe(args[0])}"
    if origin is dict:
        return f"map of {describe(args[1])}" if args[1] is not Json else "object"
    return "object"


Quantity = typing.NewType("Quantity", object)
"""A Kubernetes quantity: an integer or a string such as `64Mi`, `500m`."""
