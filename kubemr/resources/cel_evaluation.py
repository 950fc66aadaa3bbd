"""Evaluate the rules of a whole object without CEL, and report errors in the apiserver's words.

The apiserver evaluates rules only on objects whose schema is right (`structural_schema.BLOCKING`), with the defaults
filled in.  The caller must do the same here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from kubemr.resources.cel_rule import Rule, rules_of
from kubemr.resources.definitions.objects import KINDS
from kubemr.resources.definitions.spec import transition_rules
from kubemr.resources.fields import fields_of, is_class
from kubemr.resources.json_types import Json
from kubemr.resources.structural_schema import SchemaError

_REASON_WORDS = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
}


def broken_rules(obj: Json, kind: str) -> Iterator[tuple[str, Rule]]:
    """Yield the rules that an object of `kind` breaks, each with the path of the field that it names."""
    yield from _broken_rules(obj, KINDS[kind], "")


def rules_broken_by_change(new: Json, old: Json, kind: str) -> Iterator[tuple[str, Rule]]:
    """Yield the rules that the change of an object from `old` to `new` breaks."""
    if kind == "MapReduceJob":
        for rule in transition_rules():
            if rule.after is not None and not rule.after(new["spec"], old["spec"]):
                yield _named("spec", rule), rule


def check_rules(obj: Json, kind: str, old: Json = None) -> list[SchemaError]:
    """Return what the apiserver's CEL rules reject on create, or on an update of `old`."""
    found = [*broken_rules(obj, kind), *(rules_broken_by_change(obj, old, kind) if old is not None else ())]
    return [_error(path, rule) for path, rule in found]


def _error(path: str, rule: Rule) -> SchemaError:
    return SchemaError(path, f"{_REASON_WORDS[rule.reason]}: {rule.message}; {rule.remedy}", rule.reason)


def _named(path: str, rule: Rule) -> str:
    return f"{path}.{rule.field}" if rule.field else path


def _broken_rules(value: Json, hint: Any, path: str) -> Iterator[tuple[str, Rule]]:
    if is_class(hint) and isinstance(value, dict):
        for rule in rules_of(hint):
            if rule.holds is not None and not rule.holds(value):
                yield _named(path, rule), rule
        for field in fields_of(hint):
            if field.key in value:
                yield from _broken_rules(value[field.key], field.type, f"{path}.{field.key}" if path else field.key)
    elif get_origin(hint) is list and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _broken_rules(item, get_args(hint)[0], f"{path}[{index}]")
