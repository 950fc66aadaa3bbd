"""A patch for any path of an object, whether or not the parents of the path exist."""

from __future__ import annotations

import pytest

from kubemr.locks import InvalidLockError
from kubemr.locks.effects import Json
from kubemr.locks.patch import set_at_path


@pytest.mark.parametrize(
    ("document", "path", "operation"),
    [
        ({}, "/a", {"op": "add", "path": "/a", "value": "new"}),
        ({}, "/a/b/c", {"op": "add", "path": "/a", "value": {"b": {"c": "new"}}}),
        ({"a": None}, "/a/b", {"op": "add", "path": "/a", "value": {"b": "new"}}),
        ({"a": {}}, "/a/b~1c/d~0e", {"op": "add", "path": "/a/b~1c", "value": {"d~e": "new"}}),
        ({"a": [None]}, "/a/0", {"op": "replace", "path": "/a/0", "value": "new"}),
        ({"a": [None]}, "/a/0/x", {"op": "replace", "path": "/a/0", "value": {"x": "new"}}),
    ],
)
def test_the_topmost_missing_parent_is_made_under_a_test(document: Json, path: str, operation: Json) -> None:
    """With everything below it, at once; elements of lists are replaced, never inserted."""
    assert set_at_path(document, path, None, "new").body == [
        {"op": "test", "path": operation["path"], "value": None},
        operation,
    ]


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ({"a": 5}, "/a/b", "'/a' is 5, which has no members"),
        ({"a": []}, "/a/0", "the list has 0 elements, no '0'"),
        ({"a": ["x"]}, "/a/-", "the list has 1 elements, no '-'"),
        ({"a": []}, "/a/0/x", "the list has 0 elements, no '0'"),
        ({}, "a", "expected a JSON Pointer"),
        ({}, "", "expected a JSON Pointer"),
    ],
)
def test_paths_that_cannot_hold_a_lock(document: Json, path: str, message: str) -> None:
    """The error names the path and what is in the way."""
    with pytest.raises(InvalidLockError, match=message):
        set_at_path(document, path, None, "new")
