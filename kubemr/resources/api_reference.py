"""Write the reference of all fields, conditions and reasons as Markdown, from their definitions."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from kubemr.reasons import ConditionType, Reason
from kubemr.resources.cel_rule import rules_of
from kubemr.resources.definitions.objects import KINDS, MapReduceJob
from kubemr.resources.definitions.spec import JobSpec
from kubemr.resources.fields import Change, Field, describe, walk
from kubemr.resources.json_types import Json, Schema
from kubemr.resources.unsupported_fields import KUBEMR_VERSION, UNSUPPORTED

_INTRODUCTION = """\
# API reference

Generated from `kubemr/resources/definitions` and `kubemr/reasons.py`; do not edit.
It is written by `python -m kubemr.resources.generate manifests docs/api.md`.

`[]` stands for each item of a list, `.*` for each value of a map.
*later* marks fields that this version ({version}) rejects by name, and that a later version will support.
"""


def reference() -> str:
    """Return the text of the page."""
    parts = [_INTRODUCTION.format(version=KUBEMR_VERSION)]
    for kind, cls in KINDS.items():
        parts.append(f"## {kind}\n\n{cls.__doc__}\n\n" + "\n".join(_field_rows(kind)) + "\n")
        if cls is MapReduceJob:
            parts.append("### What may change\n\n" + "\n".join(_changes()) + "\n")
            parts.append("### Rules\n\n" + "\n".join(_rules()) + "\n")
    parts.append("## Conditions and Events\n\n" + "\n".join(_conditions()) + "\n")
    parts.append("### Reasons\n\n" + "\n".join(_reasons()) + "\n")
    return "\n".join(parts)


def _field_rows(kind: str) -> Iterator[str]:
    yield "| field | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for path, _, field in walk(KINDS[kind]):
        bounds = _bounds(field)
        type_text = describe(field.type) + (f"; {bounds}" if bounds else "")
        meaning = field.prop.doc + (f" Without it: {field.prop.unset}." if field.prop.unset else "")
        later = "*later* " if path in UNSUPPORTED else ""
        cells = (f"`{path}`", type_text, _default_cell(field), later + meaning)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default_cell(field: Field) -> str:
    if field.required:
        return "required"
    if field.default is attrs.NOTHING:
        return ""
    return f"`{_json(field.default)}`"


def _json(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bounds(field: Field) -> str:
    words = [_range(field.prop.keywords, "")]
    words.append(_range(field.prop.items, "each "))
    return "; ".join(word for word in words if word)


def _range(keywords: Schema, subject: str) -> str:
    words = []
    for low, high, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " entries"),
    ):
        if high in keywords:
            start = keywords.get(low, 0 if low != "minimum" else "")
            words.append(f"{subject}{start}–{keywords[high]}{unit}")  # noqa: RUF001  (an en dash is meant)
    return ", ".join(words)


def _changes() -> Iterator[str]:
    yield "Other fields of the spec never change; create a new job instead."
    yield ""
    yield "| field | may change |"
    yield "| --- | --- |"
    for path, cls, field in walk(JobSpec, "spec"):
        if cls is JobSpec and field.prop.change is not Change.NEVER:
            yield f"| `{path}` | {field.prop.change.value} |"


def _conditions() -> Iterator[str]:
    yield "All conditions that kubemr writes."
    yield ""
    yield "| condition | of a | meaning |"
    yield "| --- | --- | --- |"
    for kind in ConditionType:
        yield f"| `{kind}` | {kind.owner} | {kind.meaning} |"


def _reasons() -> Iterator[str]:
    yield "All reasons of these conditions, and of Events about MapReduceJobs, in the order of a job's life."
    yield "The messages beside them are for people and may change."
    yield ""
    yield "| reason | condition | Event | meaning |"
    yield "| --- | --- | --- | --- |"
    for reason in Reason:
        conditions = ", ".join(f"`{kind}`" for kind in reason.conditions)
        yield f"| `{reason}` | {conditions} | {reason.event or ''} | {reason.meaning} |"


def _rules() -> Iterator[str]:
    yield from _rules_of("spec", JobSpec)
    seen: set[type] = set()
    for path, _, field in walk(JobSpec, "spec"):
        cls = _class_of(field)
        if cls is not None and cls not in seen:
            seen.add(cls)
            yield from _rules_of(path, cls)


def _rules_of(path: str, cls: type) -> Iterator[str]:
    for rule in rules_of(cls):
        yield f"- `{path}`: {rule.message}."


def _class_of(field: Field) -> type | None:
    candidates = [field.type, *getattr(field.type, "__args__", ())]
    return next((one for one in candidates if isinstance(one, type) and attrs.has(one)), None)
