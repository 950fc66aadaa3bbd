"""The kinds of Kubernetes, and the labels of other programs, are defined once."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import kubemr
from kubemr.coordination import kinds
from kubemr.locks import Resource

PACKAGE = Path(kubemr.__file__).parent
TABLE = {value for value in vars(kinds).values() if isinstance(value, Resource)}
KEYS = {value for value in vars(kinds).values() if isinstance(value, str) and "/" in value and ".io/" in value}


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    """Every syntax node of kubemr, with its file."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            yield file.relative_to(PACKAGE), node


def group_of(argument: ast.expr) -> object:
    """The group that a call of `Resource` names, also by the table's constant."""
    return kinds.RBAC_GROUP if isinstance(argument, ast.Name) else getattr(argument, "value", None)


def test_each_kind_is_defined_once() -> None:
    """No other module makes a `Resource` for a kind of the table."""
    made = Counter(
        (group_of(node.args[0]), getattr(node.args[2], "value", None))
        for _, node in nodes()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Resource"
    )
    assert len(TABLE) >= 9
    assert {(kind.group, kind.plural): made[kind.group, kind.plural] for kind in TABLE} == {
        (kind.group, kind.plural): 1 for kind in TABLE
    }


def test_each_foreign_key_is_spelled_once() -> None:
    """Labels and annotations of other programs stand as text in the table only."""
    found = {
        (str(file), node.value)
        for file, node in nodes()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and any(key in node.value for key in KEYS)
    }
    assert len(KEYS) >= 7
    assert found == {("coordination/kinds.py", key) for key in KEYS}
