"""Explain what a schema rejects in words that help a person: the message and the remedy of a `Problem`."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from attrs import evolve

from kubemr.resources.json_types import Json, Schema
from kubemr.resources.patterns import WORDS
from kubemr.resources.problem import Problem
from kubemr.resources.structural_schema import SchemaError, type_name

_ARTICLES = {
    "string": "a string",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object with members",
}

_REMEDIES = {
    ("spec.replicas", "minimum"): "give at least 1; set suspend to stop the workers, or delete the job",
    ("spec.maxAttempts", "minimum"): "give 1 for a single attempt",
    ("spec.partitions", "minimum"): "give 0 for a job that only maps",
    ("spec.inputs", "maxItems"): "write them to an object, one per line, and name it in inputsFrom as a manifest",
}
"""Better remedies than the general ones, by path and keyword."""


def problem_for(error: SchemaError) -> Problem:
    """Return a schema error as a problem."""
    message, remedy = _EXPLANATIONS[error.keyword](error.value, error.schema)
    problem = Problem.of(error.path, error.value, message, _REMEDIES.get((error.path, error.keyword), remedy))
    if error.keyword == "type" and error.value is None:
        return evolve(problem, value="null")  # it is there, as opposed to what is missing
    return problem


def unknown_field(path: str, value: Json, known: list[str], elsewhere: list[str]) -> Problem:
    """Return the problem of a member that the schema does not have.

    `known` are its possible siblings, `elsewhere` the paths of all fields.
    """
    name = path.rpartition(".")[2]
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    lower = [one for one in known if one.lower() == name.lower().replace("_", "").replace("-", "")]
    other = [one for one in elsewhere if one.rpartition(".")[2] == name]
    if lower or close:
        remedy = f"did you mean {(lower or close)[0]}?"
    elif other:
        remedy = f"did you mean {other[0]}?"
    else:
        remedy = f"remove it; there are {', '.join(known)}" if known else "remove it"
    return Problem.of(path, value, "is not a field", remedy)


def _type(value: Json, schema: Schema) -> tuple[str, str]:
    want = "a quantity" if schema.get("x-kubernetes-int-or-string") else _ARTICLES[schema["type"]]
    have, text = type_name(value), str(value).lower() if isinstance(value, bool) else str(value)
    if value is None:
        remedy = "give a value, or remove the line"
    elif schema.get("type") == "string" and have in ("integer", "number", "boolean"):
        remedy = f'quote it: "{text}"'
    elif schema.get("type") in ("integer", "boolean") and have == "string":
        remedy = "write it without quotes" if value.lower() in ("true", "false") or value.isdigit() else f"give {want}"
    elif schema.get("type") == "array":
        remedy = "write it as a list: [" + (f"{value}" if have == "string" else "…") + "]"
    else:
        remedy = f"give {want}"
    return f"must be {want}", remedy


def _span(low: str, high: str, unit: str, remedy: str) -> Callable[[Json, Schema], tuple[str, str]]:
    def explained(value: Json, schema: Schema) -> tuple[str, str]:
        least, most = schema.get(low, 0), schema[high]
        verb = "be between" if not unit else "have between"
        return f"must {verb} {least} and {most}{unit}", remedy

    return explained


def _enum(value: Json, schema: Schema) -> tuple[str, str]:
    allowed = [str(one) for one in schema["enum"]]
    lower = [one for one in allowed if one.lower() == str(value).lower()]
    close = lower or get_close_matches(str(value), allowed, n=1, cutoff=0.5)
    return f"must be one of {', '.join(allowed)}", f"did you mean {close[0]}?" if close else "give one of these"


def _pattern(value: Json, schema: Schema) -> tuple[str, str]:
    what, remedy = WORDS.get(schema["pattern"], (f"a string that matches {schema['pattern']}", "give such a string"))
    return f"must be {what}", remedy


def _required(value: Json, schema: Schema) -> tuple[str, str]:
    return "is required", f"add it: {schema.get('description', 'it has no default')}"


def _duplicate(value: Json, schema: Schema) -> tuple[str, str]:
    return "occurs twice", "remove one of them"


_LENGTH = _span("minLength", "maxLength", " characters", "give a string of that length")
_SIZE = _span("minItems", "maxItems", " items", "give a list of that length, or leave it out")
_COUNT = _span("minProperties", "maxProperties", " entries", "give that many")
_NUMBER = _span("minimum", "maximum", "", "give a number in that range")

_EXPLANATIONS: dict[str, Callable[[Json, Schema], tuple[str, str]]] = {
    "type": _type,
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "minLength": _LENGTH,
    "maxLength": _LENGTH,
    "minItems": _SIZE,
    "maxItems": _SIZE,
    "minProperties": _COUNT,
    "maxProperties": _COUNT,
    "enum": _enum,
    "pattern": _pattern,
    "required": _required,
    "format": lambda value, schema: (f"must be a {schema['format']}", "write it as 2026-01-31T12:00:00Z"),
    "x-kubernetes-list-type": _duplicate,
}
