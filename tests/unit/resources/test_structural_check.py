"""`check` refuses in the apiserver's words; the samples were taken from Kubernetes 1.36.

The end-to-end tests compare with a running apiserver; here is what our own CRDs do not happen to use.
"""

from __future__ import annotations

import pytest

from kubemr.resources.json_types import Json, Schema
from kubemr.resources.structural_schema import check, compile_pattern, type_name


def _errors(value: Json, schema: Schema) -> list[str]:
    return [str(error) for error in check({"x": value}, {"type": "object", "properties": {"x": schema}})]


@pytest.mark.parametrize(
    ("value", "schema", "message"),
    [
        ("a", {"type": "integer"}, 'x: Invalid value: "string": x in body must be of type integer: "string"'),
        (1, {"type": "string"}, 'x: Invalid value: "integer": x in body must be of type string: "integer"'),
        (1.5, {"type": "string"}, 'x: Invalid value: "number": x in body must be of type string: "number"'),
        (None, {"type": "string"}, 'x: Invalid value: "null": x in body must be of type string: "null"'),
        ([], {"type": "object"}, 'x: Invalid value: "array": x in body must be of type object: "array"'),
        ({}, {"type": "boolean"}, 'x: Invalid value: "object": x in body must be of type boolean: "object"'),
        (5, {"type": "integer", "maximum": 4}, "x: Invalid value: 5: x in body should be less than or equal to 4"),
        (0.5, {"type": "number", "minimum": 1},
         "x: Invalid value: 0.5: x in body should be greater than or equal to 1"),
        ("ab", {"type": "string", "maxLength": 1}, "x: Too long: may not be more than 1 byte"),
        ("abc", {"type": "string", "maxLength": 2}, "x: Too long: may not be more than 2 bytes"),
        ("", {"type": "string", "minLength": 1}, 'x: Invalid value: "": x in body should be at least 1 chars long'),
        ("a\n", {"type": "string", "pattern": "^a$"}, "x: Invalid value: \"a\\n\": x in body should match '^a$'"),
        ([1, 2], {"type": "array", "maxItems": 1}, "x: Too many: 2: must have at most 1 item"),
        ([], {"type": "array", "minItems": 1}, "x: Invalid value: 0: x in body should have at least 1 items"),
        ({}, {"type": "object", "minProperties": 1},
         "x: Invalid value: 0: x in body should have at least 1 properties"),
        ({"a": 1}, {"type": "object", "maxProperties": 0}, "x: Too many: 1: must have at most 0 items"),
        ("c", {"type": "string", "enum": ["a", "b"]}, 'x: Unsupported value: "c": supported values: "a", "b"'),
        (3, {"type": "integer", "enum": [1, 2]}, 'x: Unsupported value: 3: supported values: "1", "2"'),
        ({}, {"type": "object", "required": ["y"]}, "x.y: Required value"),
        ("x", {"type": "string", "format": "date-time"},
         'x: Invalid value: "x": x in body must be of type date-time: "x"'),
        ("2026-13-01T00:00:00Z", {"type": "string", "format": "date-time"},
         'x: Invalid value: "2026-13-01T00:00:00Z": x in body must be of type date-time: "2026-13-01T00:00:00Z"'),
        (["a", "a"], {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
         'x[1]: Duplicate value: "a"'),
    ],
)  # fmt: skip
def test_refused(value: Json, schema: Schema, message: str) -> None:
    """One value, one message."""
    assert _errors(value, schema) == [message]


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (3.0, {"type": "integer"}),
        (3, {"type": "number"}),
        (None, {"type": "string", "nullable": True}),
        (None, {"type": "string", "nullable": True, "enum": ["a"]}),
        ("1Gi", {"x-kubernetes-int-or-string": True}),
        (1, {"x-kubernetes-int-or-string": True}),
        ({"any": [1, None]}, {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        ("2026-01-31T12:00:00.123456Z", {"type": "string", "format": "date-time"}),
        ("2026-01-31T12:00:00+01:00", {"type": "string", "format": "date-time"}),
        (["a", "a"], {"type": "array", "items": {"type": "string"}}),
    ],
)
def test_allowed(value: Json, schema: Schema) -> None:
    """What the apiserver takes, `check` takes."""
    assert _errors(value, schema) == []


def test_whole_numbers_beyond_64_bits_are_floats() -> None:
    """The apiserver decodes them as floats, and says so."""
    assert _errors(2**70, {"type": "integer", "format": "int64"}) == [
        'x: Invalid value: "float64": x in body must be of type int64: "float64"',
        '<nil>: Invalid value: "": Checked value must be of type integer with format int64 in x',
    ]


def test_an_unknown_keyword_is_an_error() -> None:
    """`check` rejects a schema of which it does not support every keyword."""
    with pytest.raises(ValueError, match="keyword 'oneOf' is not understood"):
        _errors(1, {"type": "integer", "oneOf": []})


def test_patterns_mean_what_they_mean_in_go() -> None:
    """`$` is the very end, classes are ASCII, and a `$` inside a class is itself."""
    assert not compile_pattern("^a$").search("a\n")
    assert compile_pattern(r"^a\z").search("a")
    assert not compile_pattern(r"^\d$").search("٣")
    assert compile_pattern("^[$]$").search("$")
    assert compile_pattern(r"^\$$").search("$")


def test_what_is_no_json_is_no_value() -> None:
    """A set or a tuple is a mistake of the caller."""
    with pytest.raises(TypeError, match="is not a JSON value"):
        type_name({1})
