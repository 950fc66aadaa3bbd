"""`Patch` says of a document what an independent implementation of RFC 6902 does with it."""

from __future__ import annotations

import copy

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st

from kubemr.locks import MISSING, Patch, lookup, pointer
from kubemr.locks.effects import Json

KEYS = st.sampled_from(["a", "b", "a/b", "~", "~1", "0"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "x", "pending/1/0/0/"]))
OBJECTS = st.dictionaries(KEYS, SCALARS | st.dictionaries(KEYS, SCALARS, max_size=3), max_size=4)
PATHS = st.lists(KEYS, min_size=1, max_size=2)


def passes(patch: Patch, document: Json) -> bool:
    """True when the other implementation applies it."""
    try:
        jsonpatch.JsonPatch(patch.body).apply(copy.deepcopy(document))
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
        return False
    return True


@given(document=OBJECTS, path=PATHS, value=SCALARS)
def test_holds_is_what_a_test_would_say(document: Json, path: list[str], value: Json) -> None:
    """Except where the apiserver itself differs from the RFC: null also matches what is absent."""
    patch = Patch().test(pointer(*path), value)
    if value is None and lookup(document, pointer(*path)) is MISSING:
        assert patch.holds(document)
    elif isinstance(value, bool) != isinstance(lookup(document, pointer(*path)), bool):
        # The other implementation takes True for 1, as Python does; JSON, and the apiserver, do not.
        assert not patch.holds(document)
    else:
        assert patch.holds(document) == passes(patch, document)


@given(document=OBJECTS, key=KEYS, value=SCALARS)
def test_a_swap_that_holds_sets_the_value(document: Json, key: str, value: Json) -> None:
    """And `shows` recognises the result."""
    document = {**document, key: "old"}
    patch = Patch().swap(pointer(key), "old", value)
    assert patch.holds(document)
    assert passes(patch, document)
    after = jsonpatch.JsonPatch(patch.body).apply(copy.deepcopy(document))
    assert lookup(after, pointer(key)) == value
    assert patch.shows(after)
    assert patch.shows(document) == (value == "old")
