"""Turn JSON into objects of the resource types, and back.

`parse` is for documents that `validate` has passed: it raises `ParseError` at the first mistake, and fills in the
defaults of the schema.  `to_json` leaves out what is None.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar, get_args, get_origin

import attrs

from kubemr.resources.fields import Quantity, fields_of, is_class, without_none
from kubemr.resources.json_types import Json

T = TypeVar("T")

_PLAIN: dict[Any, tuple[type, ...]] = {str: (str,), int: (int,), bool: (bool,), Quantity: (int, str)}


class ParseError(ValueError):
    """A document does not fit the resource type: the path of the field, and what is wrong with it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path or 'the document'}: {message}")
        self.path = path


def parse(cls: type[T], document: Json, path: str = "") -> T:
    """Return an object of the resource type `cls`."""
    if not isinstance(document, dict):
        raise ParseError(path, f"must be an object, not {document!r:.80}")
    fields = {field.key: field for field in fields_of(cls)}
    unknown = sorted(set(document) - set(fields))
    if unknown:
        raise ParseError(f"{path}.{unknown[0]}".lstrip("."), "is not a field; docs/api.md lists the fields")
    values: dict[str, Any] = {}
    for key, field in fields.items():
        value = document.get(key)
        here = f"{path}.{key}".lstrip(".")
        if value is None and field.default is not attrs.NOTHING:
            value = field.default
        if value is not None:
            values[field.attribute] = _parse(field.type, value, here)
        elif field.required:
            raise ParseError(here, "is required")
    return cls(**values)


def _parse(hint: Any, value: Json, path: str) -> Any:
    hint = without_none(hint)
    if is_class(hint):
        return parse(hint, value, path)
    if hint is Json:
        return value
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal and value in args:
        return value
    if origin is list and isinstance(value, list):
        return [_parse(args[0], item, f"{path}[{index}]") for index, item in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: _parse(args[1], member, f"{path}.{key}") for key, member in value.items()}
    types = _PLAIN.get(hint)
    if types is not None and isinstance(value, types) and isinstance(value, bool) == (hint is bool):
        return value
    raise ParseError(path, f"{value!r:.80} does not fit its type; see docs/api.md")


def to_json(obj: Any) -> Json:
    """Return the JSON document of an object that was made by `parse` or by hand."""
    if attrs.has(type(obj)):
        values = ((field.key, getattr(obj, field.attribute)) for field in fields_of(type(obj)))
        return {key: to_json(value) for key, value in values if value is not None}
    if isinstance(obj, list):
        return [to_json(item) for item in obj]
    if isinstance(obj, dict):
        return {key: to_json(value) for key, value in obj.items()}
    return obj
