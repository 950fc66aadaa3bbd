"""Random JSON Patches over a random small object: both servers must make the same of them.

The examples are drawn anew by developers (`HYPOTHESIS_PROFILE` unset) in an order that is fixed, so that a failure can
be repeated.  Values avoid what makes the real server panic: a `test` of a list that holds null.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from differential.cases import Case, case, gadget, get, patch, post

NAMES = ("a", "b", "c", "a/b", "m~n", "", "0", "1")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.25, 1e30]),
    st.sampled_from(["", "x", "é", "<&>"]),
)
solid = scalars.filter(lambda value: value is not None)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner.filter(lambda value: value is not None), max_size=3),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    ),
    max_leaves=6,
)
documents = st.dictionaries(st.sampled_from(NAMES), values, min_size=1, max_size=4)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


parts = st.one_of(st.sampled_from(NAMES).map(_escape), st.sampled_from(["-", "-1", "2", "+0", "00"]))
paths = st.lists(parts, max_size=3).map(lambda found: "/".join(["/x", *found]))


@st.composite
def operations(draw: st.DrawFn) -> dict[str, Any]:
    """One operation; most are well formed."""
    name = draw(st.sampled_from(["test", "add", "replace", "remove", "move", "copy"]))
    operation: dict[str, Any] = {"op": name, "path": draw(paths)}
    if name in ("move", "copy"):
        operation["from"] = draw(paths)
    elif name != "remove" and draw(st.integers(0, 9)):
        operation["value"] = draw(values)
    return operation


@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=documents, patches=st.lists(st.lists(operations(), min_size=1, max_size=3), min_size=3, max_size=8))
def test_random_patches(document: Any, patches: list[list[Any]], compare: Callable[[Case], None]) -> None:
    """Whatever is patched, the answers and the object are equal afterwards."""
    steps = [step for operations in patches for step in (patch("{gadgets}/r", *operations), get("{gadgets}/r"))]
    compare(case("random", post("{gadgets}", gadget("r", x=document)), *steps))
