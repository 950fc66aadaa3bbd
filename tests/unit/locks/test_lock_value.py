"""The string at a lock's path, and the patches that put it there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.locks import MISSING, InvalidLockError, LockValue
from kubemr.locks.effects import Json
from kubemr.locks.set_path import set_at_path


@pytest.mark.parametrize(
    ("found", "holder", "fence", "heartbeat"),
    [
        ("w7/3/812", "w7", 3, 812),
        ("/3/0", "", 3, 0),
        (None, "", 0, 0),
        (MISSING, "", 0, 0),
        ("", "", 0, 0),
        ("me", "me", 0, 0),
        ("a/b/1/2", "a/b/1/2", 0, 0),
        ("me/1/-2", "me/1/-2", 0, 0),
        ("me/1/2\n", "me/1/2\n", 0, 0),
        ("me/²/2", "me/²/2", 0, 0),
    ],
)
def test_reading(found: Json, holder: str, fence: int, heartbeat: int) -> None:
    """What is not written by the library is a holder by that name, with no fence."""
    value = LockValue.parse(found)
    assert (value.holder, value.fence, value.heartbeat) == (holder, fence, heartbeat)
    assert value.free is (holder == "")
    assert value.same_acquisition_as(found) is (found is not MISSING)


@pytest.mark.parametrize("found", [3, True, {}, ["me"]])
def test_what_is_no_string_is_no_lock(found: Json) -> None:
    """And nobody's to overwrite."""
    with pytest.raises(InvalidLockError, match="no lock"):
        LockValue.parse(found)


@given(st.from_regex(r"[^/]+", fullmatch=True), st.floats(0, 1, exclude_max=True), st.integers(0, 10**9))
def test_a_life(identity: str, uniform: float, fence: int) -> None:
    """Taken, renewed, released: the fence rises once and stays, every string is new and can be read back."""
    free = LockValue.make("", fence, 0)
    taken = free.taken_by(identity, uniform)
    renewed = taken.renewed(uniform)
    released = renewed.released()
    assert taken.fence == renewed.fence == released.fence == fence + 1
    assert len({value.raw for value in (free, taken, renewed, released)}) == 4
    for value in (free, taken, renewed, released):
        assert LockValue.parse(value.raw) == value
    assert taken.same_acquisition_as(renewed.raw)
    assert not taken.same_acquisition_as(released.raw)
    assert released.free


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
