"""Create: names, namespaces, what a client may not set, malformed bodies, unknown fields."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from differential.cases import Case, case, config_map, gadget, get, op, patch, post, widget

CASES = [
    case("plainly", post("{widgets}", widget("a", {"x": "y"})), get("{widgets}/a"), post("{cm}", config_map("a"))),
    case(
        "twice",
        post("{widgets}", widget("a")),
        post("{widgets}", widget("a")),
        post("{cm}", config_map("a")),
        post("{cm}", config_map("a")),
    ),
    case(
        "with a generated name",
        post("{cm}", config_map("", metadata={"generateName": "gen-"}), save="a"),
        get("{cm}/{a.name}"),
        post("{widgets}", widget("", metadata={"generateName": "gen-"}), save="b"),
        patch("{widgets}/{b.name}", op("add", "/lockholder", "me")),
    ),
    case("with a name and a prefix", post("{cm}", config_map("a", metadata={"name": "a", "generateName": "gen-"}))),
    case("without a name", post("{cm}", config_map("")), post("{widgets}", widget(""))),
    *(
        case(f"the name {name[:20]!r}", post("{widgets}", widget(name)), post("{cm}", config_map(name)))
        for name in ("A", "a_b", "a..b", "-a", "a-", "a.b", "0", "x" * 253, "x" * 254, "a b", "é")
    ),
    case("the prefix A_", post("{cm}", config_map("", metadata={"generateName": "A_"}))),
    case(
        "in a namespace that is not there",
        post("/api/v1/namespaces/not-there/configmaps", config_map("a")),
        post("/apis/differential.kubemr.dev/v1/namespaces/not-there/widgets", widget("a")),
    ),
    case("for another namespace", post("{cm}", config_map("a", metadata={"name": "a", "namespace": "other"}))),
    case("for the right namespace", post("{cm}", config_map("a", metadata={"name": "a", "namespace": "{ns}"}))),
    case(
        "without a namespace", post("/api/v1/configmaps", config_map("a", metadata={"name": "a", "namespace": "{ns}"}))
    ),
    case(
        "with a resourceVersion",
        post("{widgets}", widget("a", metadata={"name": "a", "resourceVersion": "5"})),
        post("{cm}", config_map("a", metadata={"name": "a", "resourceVersion": "5"})),
    ),
    case(
        "with what the server sets",
        post(
            "{widgets}",
            widget(
                "a",
                status={"phase": "A"},
                metadata={
                    "name": "a",
                    "uid": "x",
                    "generation": 7,
                    "creationTimestamp": "2020-01-01T00:00:00Z",
                    "deletionTimestamp": "2020-01-01T00:00:00Z",
                    "selfLink": "/x",
                    "managedFields": [],
                },
            ),
        ),
        post("{gadgets}", gadget("a", status={"phase": "A"}, metadata={"name": "a", "uid": "x", "generation": 7})),
    ),
    case(
        "with empty metadata members",
        post(
            "{gadgets}",
            gadget(
                "a",
                metadata={
                    "name": "a",
                    "labels": {},
                    "annotations": {},
                    "finalizers": [],
                    "ownerReferences": [],
                    "generateName": "",
                },
            ),
        ),
    ),
    case("with unknown metadata", post("{gadgets}", gadget("a", metadata={"name": "a", "bogus": 1}))),
    case(
        "with unknown fields",
        post(
            "{widgets}",
            widget("a", bogus=1, spec={"bogus": {"a": 1}, "deep": {"key": "k", "bogus": 2}, "any": {"bogus": 3}}),
        ),
        post("{cm}", config_map("a", bogus=1)),
    ),
    case(
        "with unknown fields, strictly",
        post("{widgets}?fieldValidation=Strict", widget("a", bogus=1, spec={"bogus": 1})),
        post("{cm}?fieldValidation=Strict", config_map("a", bogus=1)),
        post("{widgets}?fieldValidation=Strict", widget("a")),
    ),
    case(
        "dry",
        post("{widgets}?dryRun=All", widget("a")),
        get("{widgets}/a"),
        post("{cm}?dryRun=All", config_map("a")),
        get("{cm}/a"),
    ),
    case(
        "of another kind", post("{widgets}", gadget("a")), post("{cm}", {"kind": "Secret", "metadata": {"name": "a"}})
    ),
    case(
        "of another version",
        post("{widgets}", {**widget("a"), "apiVersion": "differential.kubemr.dev/v2"}),
        post("{cm}", {**config_map("a"), "apiVersion": "v2"}),
    ),
    case("of no kind", post("{cm}", {"metadata": {"name": "a"}})),
    case("of no version", post("{widgets}", {"kind": "Widget", "metadata": {"name": "a"}, "spec": {}})),
    case(
        "without metadata",
        post("{widgets}", {"apiVersion": "differential.kubemr.dev/v1", "kind": "Widget", "spec": {}}),
    ),
    case(
        "with metadata of a wrong type",
        post("{widgets}", widget("a", metadata={"name": 5})),
        post("{cm}", config_map("a", metadata={"name": "a", "labels": {"a": 5}})),
    ),
    case(
        "as text/plain",
        post("{widgets}", widget("a"), content_type="text/plain"),
        post("{cm}", config_map("a"), content_type="text/plain"),
    ),
    case("at a name", post("{widgets}/a", widget("a"))),
    case(
        "with a key that is refused",
        post("{cm}", config_map("a", data={"a b": "c"})),
        post("{cm}", config_map("a", data={"..": "c"})),
    ),
    case("with a wrong type", post("{cm}", config_map("a", data={"a": 5})), post("{cm}", config_map("a", data=[]))),
    case(
        "of numbers that are written otherwise",
        post(
            "{gadgets}",
            b'{"apiVersion":"differential.kubemr.dev/v1","kind":"Gadget","metadata":{"name":"a"},"x":[1.0,1e3,-0,1.50,1e21,123456789012,0.1,1E-7,12345678901234567890]}',
        ),
    ),
    case(
        "of nulls",
        post("{gadgets}", gadget("a", x=None, y=[None, {"z": None}])),
        post("{widgets}", widget("a", spec={"size": None, "text": None, "maybe": None, "any": {"n": None}})),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_equal(case: Case, compare: Callable[[Case], None]) -> None:
    """A create stores the same, or is refused in the same words."""
    compare(case)
