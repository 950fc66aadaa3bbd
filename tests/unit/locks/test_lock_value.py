"""The string at a lock's path, and the patches that put it there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.locks import MISSING, InvalidLockError, LockValue
from kubemr.locks.effects import Json


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
    """And is not overwritten."""
    with pytest.raises(InvalidLockError, match="is not a lock"):
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
