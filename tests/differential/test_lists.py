"""Lists: selectors, pages, resource versions."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from differential.cases import Case, case, config_map, delete, get, merge, post, widget

LABELS = {
    "a": {"app": "one", "tier": "web"},
    "b": {"app": "two", "tier": "web", "n": "7"},
    "c": {"app": "three", "n": "3"},
    "d": {"tier": "db", "n": "x", "kubemr.dev/x": "y"},
    "e": {},
}


def continue_token(revision: int, start: str) -> str:
    """A continue token as both servers write it."""
    fields = {"v": "meta.k8s.io/v1", "rv": revision, "start": f"{start}\0"}
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


CASES = [
    *(
        case(
            f"by labels {selector}",
            *(post("{cm}", config_map(name, labels)) for name, labels in LABELS.items()),
            get("{cm}?labelSelector=" + quote(selector)),
        )
        for selector in (
            "app=one",
            "app==one",
            "app!=one",
            "app in (one,two)",
            "app notin (one,two)",
            "app",
            "!app",
            "app=one,tier=web",
            "app in (one, two),tier!=web",
            "tier in ()",
            "n>5",
            "n<5",
            "n>x",
            "app=",
            "app in (one",
            "app===one",
            "=one",
            "app in one",
            "app,,tier",
            "app,",
            ",app",
            "app in (one,,two)",
            "kubemr.dev/x=y",
            "a b=c",
            "app notin ()",
            " app = one ",
            "!app,tier=web",
            "app one",
            "app=a b",
        )
    ),
    case(
        "by labels, of custom objects",
        post("{widgets}", widget("a", {"x": "1"})),
        post("{widgets}", widget("b", {"x": "2"})),
        get("{widgets}?labelSelector=x%3D1"),
        get("{widgets}"),
    ),
    *(
        case(
            f"by fields {selector}",
            post("{cm}", config_map("a")),
            post("{cm}", config_map("b")),
            get("{cm}?fieldSelector=" + quote(selector)),
            get("{widgets}?fieldSelector=" + quote(selector)),
        )
        for selector in (
            "metadata.name=a",
            "metadata.name!=a",
            "metadata.name==a",
            "metadata.namespace=other",
            "metadata.name=a,metadata.name=b",
            "spec.x=1",
            "metadata.name",
            "metadata.name=",
        )
    ),
    case(
        "by fields of other kinds",
        *(
            get(f"{{{kind}}}?fieldSelector=nope%3Dx")
            for kind in ("pods", "jobs", "secrets", "events", "leases", "accounts", "gadgets")
        ),
    ),
    case(
        "of nothing",
        get("{widgets}"),
        get("{cm}"),
        get("/api/v1/namespaces/not-there/configmaps"),
        get("/apis/differential.kubemr.dev/v1/namespaces/not-there/widgets"),
    ),
    case(
        "in pages",
        *(post("{cm}", config_map(name)) for name in "abcde"),
        get("{cm}?limit=2", save="one"),
        get("{cm}?limit=2&continue={one.continue}", save="two"),
        get("{cm}?limit=2&continue={two.continue}"),
        get("{cm}?limit=5"),
        get("{cm}?limit=0"),
    ),
    case(
        "in pages, of custom objects",
        *(post("{widgets}", widget(name)) for name in "abcde"),
        get("{widgets}?limit=2", save="one"),
        get("{widgets}?limit=2&continue={one.continue}", save="two"),
        get("{widgets}?limit=2&continue={two.continue}"),
        get("{widgets}?limit=5"),
    ),
    case(
        "in pages, by label",
        *(post("{cm}", config_map(name, {"x": name})) for name in "abcde"),
        get("{cm}?limit=1&labelSelector=x%20in%20(b%2Cd%2Ce)", save="one"),
        get("{cm}?limit=2&labelSelector=x%20in%20(b%2Cd%2Ce)&continue={one.continue}"),
    ),
    case(
        "in pages while it changes",
        *(post("{cm}", config_map(name)) for name in "abcd"),
        get("{cm}?limit=2", save="one"),
        delete("{cm}/c"),
        post("{cm}", config_map("cc")),
        merge("{cm}/d", {"data": {"k": "v"}}),
        get("{cm}?limit=2&continue={one.continue}"),
        get("{cm}"),
    ),
    case(
        "with a limit at version 0",
        *(post("{cm}", config_map(name)) for name in "abc"),
        get("{cm}?limit=2&resourceVersion=0"),
    ),
    case(
        "at an exact version",
        post("{cm}", config_map("a"), save="a"),
        post("{cm}", config_map("b"), save="b"),
        delete("{cm}/a"),
        get("{cm}?resourceVersionMatch=Exact&resourceVersion={a.rv}"),
        get("{cm}?resourceVersionMatch=Exact&resourceVersion={b.rv}"),
        get("{cm}?resourceVersionMatch=NotOlderThan&resourceVersion={a.rv}"),
        get("{cm}?resourceVersion={a.rv}"),
        get("{cm}?resourceVersion=0"),
    ),
    case(
        "at a version that is too old",
        get("{widgets}?resourceVersionMatch=Exact&resourceVersion=2"),
        get("{cm}?resourceVersionMatch=Exact&resourceVersion=2"),
    ),
    case(
        "at a version of the future",
        get("{cm}?resourceVersion=999999999"),
        get("{widgets}?resourceVersion=999999999&resourceVersionMatch=NotOlderThan"),
    ),
    case(
        "continued too late",
        get("{cm}?limit=2&continue=" + continue_token(2, "/a")),
        get("{widgets}?limit=2&continue=" + continue_token(2, "/a")),
    ),
    case(
        "continued inconsistently",
        *(post("{cm}", config_map(name)) for name in "abc"),
        get("{cm}?limit=2&continue=" + continue_token(-1, "/a")),
    ),
    *(
        case(f"refused: {query}", get("{cm}?" + query), get("{widgets}?" + query))
        for query in (
            "limit=x",
            "limit=-1",
            "resourceVersion=x",
            "resourceVersion=-1",
            "resourceVersionMatch=Exact",
            "resourceVersionMatch=Nope&resourceVersion=1",
            "resourceVersionMatch=Exact&resourceVersion=0",
            "sendInitialEvents=true",
            "continue=abc",
            "continue=abc&resourceVersion=5",
            "continue=abc&resourceVersionMatch=Exact&resourceVersion=1",
        )
    ),
    case(
        "across the kinds' names",
        post("{cm}", config_map("a-b")),
        post("{cm}", config_map("a.b")),
        post("{cm}", config_map("a0")),
        post("{cm}", config_map("a")),
        get("{cm}"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_equal(case: Case, compare: Callable[[Case], None]) -> None:
    """A list holds the same objects in the same order and pages, or is refused in the same words."""
    compare(case)
