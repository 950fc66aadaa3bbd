"""Validate a job, for the operator and the command line.

`validate` reports every mistake, each one once:

- what the schema and the rules of the CRD reject
- what they cannot express (`kubemr.resources.semantic_checks`)
- what this version does not support yet (`kubemr.resources.unsupported_fields`)

If the structure is wrong, the checks that need it are left out.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

from kubemr.resources.cel_evaluation import broken_rules, rules_broken_by_change
from kubemr.resources.crd import schema, with_defaults
from kubemr.resources.definitions.objects import API_VERSION, MapReduceJob
from kubemr.resources.fields import walk
from kubemr.resources.json_types import Json, Schema
from kubemr.resources.problem import Problem
from kubemr.resources.schema_messages import problem_for, unknown_field
from kubemr.resources.semantic_checks import semantic_problems
from kubemr.resources.structural_schema import check, prune
from kubemr.resources.unsupported_fields import unsupported_fields

KIND = "MapReduceJob"


def validate(job: Json) -> list[Problem]:
    """Return every mistake of a MapReduceJob as a user wrote it; empty if it can run."""
    if not isinstance(job, dict):
        return [Problem.of("job", job, "must be an object", "give a MapReduceJob as YAML or JSON")]
    problems = list(_not_finite(job, ""))
    if problems:
        return problems
    problems = [*_kind(job), *structure(job)]
    if not problems:
        complete = with_defaults(job)
        problems += [_rule(job, path, rule.message, rule.remedy) for path, rule in broken_rules(complete, KIND)]
        problems += semantic_problems(complete)
    return [*problems, *unsupported_fields(job)]


def validate_change(new: Json, old: Json) -> list[Problem]:
    """Return what must not change between two valid versions of a job."""
    new, old = with_defaults(new), with_defaults(old)
    return [_rule(new, path, rule.message, rule.remedy) for path, rule in rules_broken_by_change(new, old, KIND)]


def structure(job: Json) -> list[Problem]:
    """Return what the schema rejects: unknown fields, types, bounds."""
    pruned, of_kind = copy.deepcopy(job), schema(KIND)
    unknown = prune(pruned, of_kind)
    problems = [_unknown(job, path, of_kind) for path in unknown]
    errors = check(with_defaults(pruned), of_kind)
    return [*problems, *(problem_for(error) for error in errors if error.keyword)]


def _not_finite(value: Json, path: str) -> Iterator[Problem]:
    """Yield numbers that JSON cannot hold: the apiserver would never get them."""
    if isinstance(value, float) and not math.isfinite(value):
        yield Problem.of(path, value, "is not a number in JSON", "give a finite number")
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from _not_finite(member, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{path}[{index}]")


def _kind(job: Json) -> list[Problem]:
    problems = []
    for key, right in (("apiVersion", API_VERSION), ("kind", KIND)):
        if job.get(key) != right:
            problems.append(Problem.of(key, job.get(key), f"must be {right}", f"write {key}: {right}"))
    return problems


def _unknown(job: Json, path: str, of_kind: Schema) -> Problem:
    parent, _, _ = path.rpartition(".")
    node = _schema_at(of_kind, parent)
    known = list(node.get("properties", {}))
    everywhere = [one for one, _, _ in walk(MapReduceJob) if not one.startswith("status")]
    return unknown_field(path, value_at(job, path), known, everywhere)


def _parts(path: str) -> list[str | int]:
    parts: list[str | int] = []
    for part in path.replace("[", ".[").split("."):
        if part.startswith("["):
            parts.append(int(part[1:-1]))
        elif part:
            parts.append(part)
    return parts


def _schema_at(node: Schema, path: str) -> Schema:
    for part in _parts(path):
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
    return node


def value_at(obj: Json, path: str) -> Json:
    """Return the value at a path such as `spec.steps[0].mapper`, or None."""
    for part in _parts(path):
        try:
            obj = obj[part]
        except (KeyError, IndexError, TypeError):
            return None
    return obj


def _rule(job: Json, path: str, message: str, remedy: str) -> Problem:
    return Problem.of(path, value_at(job, path), message, remedy)
