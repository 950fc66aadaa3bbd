"""Parse label and field selectors into predicates over objects.

Label selectors follow `apimachinery/pkg/labels`: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`,
`a>1`, `a<1`, joined by commas.  Field selectors support `=`, `==` and `!=` on the fields that a kind declares.  Each
text is parsed once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from kubemr.local.apiserver.errors import bad_request
from kubemr.locks.effects import Json

Predicate: TypeAlias = Callable[[Json], bool]
Labels: TypeAlias = Mapping[str, str]
Requirement: TypeAlias = Callable[[Labels], bool]

_TOKEN = re.compile(r"\s*(==|!=|=|!|\(|\)|,|>|<|[^\s=!(),<>]+|$)")
_SYMBOLS = frozenset(("==", "!=", "=", "!", "(", ")", ",", ">", "<", ""))
_NO_START = _SYMBOLS - {"!"}
_NONE: Labels = {}


def everything(_: Json) -> bool:
    """Match all objects."""
    return True


class _Tokens:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None or found.end() == at:
                raise _unparsable(text[at], "identifier")
            if found.group(1):
                self._tokens.append(found.group(1))
            at = found.end()
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def next(self) -> str:
        token = self.peek()
        self._at += 1
        return token


def _misplaced(found: str, expected: str) -> Exception:
    return bad_request(f"found '{found}', expected: {expected}")


def _unparsable(found: str, expected: str) -> Exception:
    return bad_request(f"unable to parse requirement: found '{found}', expected: {expected}")


@lru_cache(maxsize=1024)
def label_predicate(text: str) -> Predicate:
    """Return the predicate of a label selector.  Raises a 400 `ApiError` if it cannot be parsed."""
    if not text.strip():
        return everything
    tokens = _Tokens(text)
    requirements: list[Requirement] = []
    if tokens.peek() in _NO_START:
        raise _misplaced(tokens.peek(), "!, identifier, or 'end of string'")
    while True:
        requirements.append(_requirement(tokens))
        mark = tokens.next()
        if mark == "":
            break
        if mark != ",":
            raise _misplaced(mark, "',' or 'end of string'")
        if tokens.peek() in _NO_START:
            raise _misplaced(tokens.peek(), "identifier after ','")

    def matches(obj: Json) -> bool:
        labels = obj["metadata"].get("labels") or _NONE
        return all(requirement(labels) for requirement in requirements)

    return matches


def _requirement(tokens: _Tokens) -> Requirement:
    key = tokens.next()
    if key == "!":
        absent = _key(tokens.next())
        return lambda labels: absent not in labels
    key = _key(key)
    operator = tokens.peek()
    if operator in ("", ","):
        return lambda labels: key in labels
    tokens.next()
    if operator in ("=", "==", "!="):
        value = _equality_value(tokens)
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if operator in ("in", "notin"):
        values = _values(tokens)
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: key not in labels or labels[key] not in values
    if operator in (">", "<"):
        return _numeric(key, operator, tokens.next())
    raise _unparsable(operator, "in, notin, =, ==, !=, gt, lt")


def _key(token: str) -> str:
    if token in _SYMBOLS:
        raise _unparsable(token, "identifier")
    return token


def _equality_value(tokens: _Tokens) -> str:
    """Return the value of an equality, which may be empty."""
    token = tokens.peek()
    if token in ("", ","):
        return ""
    if token in _SYMBOLS:
        raise _unparsable(token, "identifier")
    return tokens.next()


def _values(tokens: _Tokens) -> frozenset[str]:
    opening = tokens.next()
    if opening != "(":
        raise bad_request(f"unable to parse requirement: found '{opening}' expected: '('")
    values: set[str] = set()
    while True:
        token = tokens.next()
        if token == ")":
            return frozenset(values or {""})
        if token == ",":
            values.add("")
            continue
        if token in _SYMBOLS:
            raise _unparsable(token, "',', ')' or identifier")
        values.add(token)
        mark = tokens.next()
        if mark == ")":
            return frozenset(values)
        if mark != ",":
            raise _unparsable(mark, "',' or ')'")
        if tokens.peek() == ")":
            values.add("")


def _numeric(key: str, operator: str, bound: str) -> Requirement:
    try:
        limit = int(bound)
    except ValueError:
        raise bad_request(
            f"unable to parse requirement: values[0]: Invalid value: \"{bound}\": for 'Gt', 'Lt' operators, the value "
            "must be an integer"
        ) from None

    def compares(labels: Labels) -> bool:
        try:
            have = int(labels[key])
        except (KeyError, ValueError):
            return False
        return have > limit if operator == ">" else have < limit

    return compares


@lru_cache(maxsize=1024)
def field_predicate(text: str, known: tuple[str, ...], kind: str, custom: bool) -> Predicate:
    """Return the predicate of a field selector over the `known` fields (dotted paths) of a kind."""
    if not text.strip():
        return everything
    terms: list[tuple[tuple[str, ...], bool, str]] = []
    for term in text.split(","):
        if not term:
            continue
        found = re.fullmatch(r"([^=!]+)(==|!=|=)(.*)", term, re.DOTALL)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        field, operator, value = found.groups()
        if field not in known:
            raise bad_request(_unknown_field(field, known, kind, custom))
        terms.append((tuple(field.split(".")), operator != "!=", re.sub(r"\\(.)", r"\1", value)))

    def matches(obj: Json) -> bool:
        return all((_field(obj, path) == value) == wanted for path, wanted, value in terms)

    return matches


METADATA_FIELDS = ("metadata.name", "metadata.namespace")


def _unknown_field(field: str, known: tuple[str, ...], kind: str, custom: bool) -> str:
    if custom:
        return f"field label not supported: {field}"
    if known == METADATA_FIELDS:
        return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
    return f'field label "{field}" not supported for Job' if kind == "Job" else f"field label not supported: {field}"


def _field(obj: Json, path: tuple[str, ...]) -> str:
    at = obj
    for part in path:
        at = at.get(part) if isinstance(at, dict) else None
    return {True: "true", False: "false"}.get(at, str(at)) if at is not None else ""
