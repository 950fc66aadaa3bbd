"""Replace and merge patch: conflicts, names, defaults, generation, what a client may not change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from differential.cases import Case, case, config_map, gadget, get, merge, patch, post, put, raw_patch, widget

CASES = [
    case(
        "with the version",
        post("{widgets}", widget("a"), save="a"),
        put("{widgets}/a", widget("a", metadata={"name": "a", "resourceVersion": "{a.rv}"}, lockholder="me")),
        get("{widgets}/a"),
    ),
    case(
        "with a stale version",
        post("{widgets}", widget("a"), save="a"),
        merge("{widgets}/a", {"lockholder": "x"}),
        put("{widgets}/a", widget("a", metadata={"name": "a", "resourceVersion": "{a.rv}"})),
        post("{cm}", config_map("a")),
        put("{cm}/a", config_map("a", metadata={"name": "a", "resourceVersion": "1"})),
    ),
    case(
        "without a version",
        post("{widgets}", widget("a")),
        put("{widgets}/a", widget("a")),
        post("{cm}", config_map("a")),
        put("{cm}/a", config_map("a", data={"k": "v"})),
        put("{cm}/a", config_map("a", metadata={"name": "a", "resourceVersion": "0"})),
    ),
    case(
        "with no number as version",
        post("{widgets}", widget("a")),
        put("{widgets}/a", widget("a", metadata={"name": "a", "resourceVersion": "x"})),
        merge("{widgets}/a", {"metadata": {"resourceVersion": "x"}}),
    ),
    case("what is not there", put("{widgets}/a", widget("a")), put("{cm}/a", config_map("a"))),
    case(
        "under another name",
        post("{widgets}", widget("a")),
        put("{widgets}/a", widget("b")),
        put("{widgets}/a", widget("")),
        post("{cm}", config_map("a")),
        put("{cm}/a", config_map("b")),
    ),
    case(
        "in another namespace",
        post("{cm}", config_map("a")),
        put("{cm}/a", config_map("a", metadata={"name": "a", "namespace": "x"})),
    ),
    case(
        "with another uid",
        post("{widgets}", widget("a"), save="a"),
        put("{widgets}/a", widget("a", metadata={"name": "a", "resourceVersion": "{a.rv}", "uid": "x"})),
        post("{cm}", config_map("a")),
        put("{cm}/a", config_map("a", metadata={"name": "a", "uid": "x"})),
    ),
    case(
        "with the right uid",
        post("{widgets}", widget("a"), save="a"),
        put("{widgets}/a", widget("a", metadata={"name": "a", "resourceVersion": "{a.rv}", "uid": "{a.uid}"})),
    ),
    case(
        "with the same",
        post("{gadgets}", gadget("a", x=1), save="a"),
        put("{gadgets}/a", gadget("a", x=1, metadata={"name": "a", "resourceVersion": "{a.rv}"})),
        put("{gadgets}/a", gadget("a", x=2, metadata={"name": "a", "resourceVersion": "{a.rv}"})),
    ),
    case("at no name", put("{widgets}", widget("a")), put("{cm}", config_map("a")), patch("{widgets}"), patch("{cm}")),
    case("of another kind", post("{widgets}", widget("a")), put("{widgets}/a", gadget("a"))),
    case(
        "dry", post("{cm}", config_map("a")), put("{cm}/a?dryRun=All", config_map("a", data={"k": "v"})), get("{cm}/a")
    ),
    case(
        "what generation counts",
        post("{widgets}", widget("a")),
        merge("{widgets}/a", {"spec": {"size": 4}}),
        merge("{widgets}/a", {"lockholder": "x"}),
        merge("{widgets}/a", {"metadata": {"labels": {"a": "b"}}}),
        merge("{widgets}/a/status", {"status": {"phase": "A"}}),
        merge("{widgets}/a", {"spec": {"size": 4}}),
    ),
    case(
        "what generation counts without a status",
        post("{gadgets}", gadget("a")),
        merge("{gadgets}/a", {"x": 1}),
        merge("{gadgets}/a", {"status": {"x": 1}}),
        merge("{gadgets}/a", {"metadata": {"labels": {"a": "b"}}}),
    ),
    case(
        "merge: deeply",
        post("{gadgets}", gadget("a", x={"a": {"b": 1, "c": 2}, "l": [1, 2]})),
        merge("{gadgets}/a", {"x": {"a": {"b": None, "d": {"e": None, "f": 3}}, "l": [3]}, "n": None}),
    ),
    case(
        "merge: over another type",
        post("{gadgets}", gadget("a", x=[1], y={"a": 1})),
        merge("{gadgets}/a", {"x": {"b": {"c": None}}, "y": 5}),
    ),
    case("merge: nulls in a list", post("{gadgets}", gadget("a")), merge("{gadgets}/a", {"x": [None, {"a": None}]})),
    case(
        "merge: what changes nothing",
        post("{gadgets}", gadget("a", x=1), save="a"),
        merge("{gadgets}/a", {}),
        merge("{gadgets}/a", {"x": 1}),
    ),
    case(
        "merge: a stale version",
        post("{gadgets}", gadget("a"), save="a"),
        merge("{gadgets}/a", {"x": 1, "metadata": {"resourceVersion": "{a.rv}"}}),
        merge("{gadgets}/a", {"x": 2, "metadata": {"resourceVersion": "{a.rv}"}}),
    ),
    case(
        "merge: the uid",
        post("{gadgets}", gadget("a"), save="a"),
        merge("{gadgets}/a", {"metadata": {"uid": "x"}}),
        merge("{gadgets}/a", {"metadata": {"uid": "{a.uid}"}, "x": 1}),
        post("{cm}", config_map("a")),
        merge("{cm}/a", {"metadata": {"uid": "x"}}),
    ),
    *(
        case(
            f"merge: the body {body.decode()}",
            post("{widgets}", widget("a")),
            raw_patch("{widgets}/a", body, "application/merge-patch+json"),
        )
        for body in (b"[]", b"5", b'"x"', b"null", b"true")
    ),
    case("merge: what is not there", merge("{widgets}/a", {}), merge("{cm}/a", {})),
    case(
        "merge: a built-in kind",
        post("{cm}", config_map("a", data={"a": "b"})),
        merge("{cm}/a", {"data": {"a": None, "c": "d"}}),
        merge("{cm}/a", {"data": {"c": None}}),
        merge("{cm}/a", {"data": {"c": 5}}),
    ),
    case(
        "immutable",
        post("{cm}", config_map("a", data={"a": "b"}, immutable=True)),
        merge("{cm}/a", {"data": {"a": "c"}}),
        merge("{cm}/a", {"immutable": False}),
        merge("{cm}/a", {"metadata": {"labels": {"a": "b"}}}),
        put("{cm}/a", config_map("a")),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_equal(case: Case, compare: Callable[[Case], None]) -> None:
    """A write changes the same, or is refused in the same words."""
    compare(case)
