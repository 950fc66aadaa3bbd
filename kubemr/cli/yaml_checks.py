"""Find what YAML can write and JSON cannot hold, in the tree of nodes, where each node has its line.

The tree is walked as it will be read: a node that is referred to twice is visited twice.  So a reference to an object
that contains it is found as an ancestor, and references that multiply are found by the count of values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import yaml

from kubemr.resources.json_types import Json

MAX_DEPTH: Final = 100
MAX_VALUES: Final = 1_000_000
_SHOWN: Final = 40
_TAG: Final = "tag:yaml.org,2002:"
_NOT_JSON: Final = frozenset(_TAG + name for name in ("set", "omap", "pairs"))
_MERGE: Final = _TAG + "merge"


class DocumentError(Exception):
    """A mistake in a document: the line, what is wrong there and the remedy."""


def check(root: yaml.Node, construct: Callable[[yaml.Node], Json]) -> None:
    """Raise `DocumentError` for the first mistake; `construct` makes a scalar's value."""
    _Walk(construct).visit(root, "", ())


class _Walk:
    def __init__(self, construct: Callable[[yaml.Node], Json]) -> None:
        self._construct = construct
        self._values = 0

    def visit(self, node: yaml.Node, path: str, above: tuple[yaml.Node, ...]) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise _error(node, path, f"the document has more than {MAX_VALUES} values; use fewer references (*name)")
        if any(node is one for one in above):
            raise _error(node, path, "refers to an object that contains it; write the value itself")
        if len(above) > MAX_DEPTH:
            raise _error(node, path, f"is nested more than {MAX_DEPTH} deep; give a MapReduceJob")
        above = (*above, node)
        if isinstance(node, yaml.ScalarNode):
            self._scalar(node, path)
        elif node.tag in _NOT_JSON:
            raise _error(
                node, path, f"!!{node.tag.removeprefix(_TAG)} cannot be written as JSON; write a list or an object"
            )
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.visit(item, f"{path}[{index}]", above)
        elif isinstance(node, yaml.MappingNode):
            self._mapping(node, path, above)

    def _mapping(self, node: yaml.MappingNode, path: str, above: tuple[yaml.Node, ...]) -> None:
        seen: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                self.visit(value, f"{path}.<<" if path else "<<", above)
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise _error(key, path, "has a list or an object as a key; give a string")
            here = f"{path}.{key.value}" if path else key.value
            if key.tag != _TAG + "str":
                raise _error(key, here, f'the key {_short(key.value)} is not a string; quote it: "{_short(key.value)}"')
            line = key.start_mark.line + 1
            if key.value in seen:
                message = f"the key {_short(key.value)} occurs twice, first on line {seen[key.value]}"
                raise _error(key, here, f"{message}; remove one of them")
            seen[key.value] = line
            self.visit(value, here, above)

    def _scalar(self, node: yaml.ScalarNode, path: str) -> None:
        kind = node.tag.removeprefix(_TAG)
        if kind in ("binary", "timestamp"):
            raise _error(node, path, f"!!{kind} cannot be written as JSON; write a string, without !!{kind}")
        if kind == "float":
            try:
                finite = math.isfinite(self._construct(node))
            except (ValueError, OverflowError):
                finite = False
            if not finite:
                raise _error(node, path, f"{_short(node.value)} is not a number in JSON; give a finite number")
        elif kind == "int":
            try:
                number = self._construct(node)
            except ValueError as error:
                if len(node.value) <= _SHOWN:
                    message = f"{_short(node.value)} is not a whole number; give one, or quote it"
                    raise _error(node, path, message) from error
                number = None
            if number is None or not -(2**63) <= number < 2**64:
                raise _error(node, path, f"{_short(node.value)} is too large; give a number of at most 64 bits")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _error(node: yaml.Node, path: str, message: str) -> DocumentError:
    where = f"line {node.start_mark.line + 1}"
    return DocumentError(f"{where}: {_place(path)}: {message}" if path else f"{where}: {message}")


def _place(path: str) -> str:
    text = " ".join(path.split())
    return text if len(text) <= 2 * _SHOWN else f"…{text[-2 * _SHOWN :]}"
