"""Patches are built op by op, and say of an object whether their conditions hold in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.locks import MISSING, Patch, lookup, pointer
from kubemr.locks.effects import Json

DOCUMENT = {"a": {"b/c": 1, "d~e": None}, "list": [{"x": 5}], "": "empty"}


def test_the_seeds_patch() -> None:
    """The operations in the order in which they were called for."""
    assert Patch().test("/lockholder", None).add("/lockholder", "me").body == [
        {"op": "test", "path": "/lockholder", "value": None},
        {"op": "add", "path": "/lockholder", "value": "me"},
    ]


def test_patches_are_values() -> None:
    """Each method leaves its patch as it was; two can be joined."""
    first = Patch().test("/a", 1)
    second = Patch().swap("/b", 1, 2).remove("/c")
    assert len(first) == 1
    assert len(first.add("/x", 1)) == 2
    assert len(first) == 1
    assert [operation["op"] for operation in (first + second).body] == ["test", "test", "replace", "remove"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", DOCUMENT),
        ("/a/b~1c", 1),
        ("/a/d~0e", None),
        ("/a/none", MISSING),
        ("/list/0/x", 5),
        ("/list/1", MISSING),
        ("/list/-", MISSING),
        ("/a/b~1c/x", MISSING),
        ("/", "empty"),
    ],
)
def test_lookup(path: str, found: Json) -> None:
    """An explicit null is not the same as nothing."""
    assert lookup(DOCUMENT, path) == found
    assert repr(MISSING) == "MISSING"


@given(st.lists(st.text(), max_size=4), st.integers())
def test_a_pointer_leads_to_its_segments(segments: list[str], value: int) -> None:
    """Whatever characters the segments have."""
    document: Json = value
    for segment in reversed(segments):
        document = {segment: document}
    assert lookup(document, pointer(*segments)) == value


@pytest.mark.parametrize(
    ("patch", "holds"),
    [
        (Patch().test("/a", 1), True),
        (Patch().test("/a", 2), False),
        (Patch().test("/none", None), True),
        (Patch().test("/null", None), True),
        (Patch().test("/a", None), False),
        (Patch().swap("/a", 1, 2).test("/a", 2), True),
        (Patch().swap("/a", 1, 2).test("/b", 2), False),
        (Patch(), True),
    ],
)
def test_conditions(patch: Patch, holds: bool) -> None:
    """A test of null holds where there is nothing; a test of what the patch itself wrote is not about the object."""
    assert patch.holds({"a": 1, "null": None}) is holds


def test_what_a_patch_set_shows() -> None:
    """Every value it adds or replaces is there; tests and removals do not count."""
    patch = Patch().test("/a", 0).replace("/a", 1).add("/b", {"c": 2}).remove("/d")
    assert patch.shows({"a": 1, "b": {"c": 2}})
    assert not patch.shows({"a": 1})
    assert not patch.shows({"a": 0, "b": {"c": 2}})
