"""Get: what is there, what is not, and URLs that name nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from differential.cases import Case, case, config_map, gadget, get, post, widget

CASES = [
    case(
        "an object",
        post("{widgets}", widget("a")),
        get("{widgets}/a"),
        post("{cm}", config_map("a", data={"k": "v"})),
        get("{cm}/a"),
    ),
    case("nothing", get("{widgets}/a"), get("{cm}/a"), get("{pods}/a"), get("{jobs}/a"), get("{leases}/a")),
    case(
        "an unknown resource",
        get("/api/v1/namespaces/{ns}/nopes"),
        get("/apis/nope.dev/v1/nopes"),
        get("/nope"),
        get("/apis/nope.dev"),
    ),
    case(
        "at resource versions",
        post("{cm}", config_map("a"), save="a"),
        get("{cm}/a?resourceVersion=0"),
        get("{cm}/a?resourceVersion={a.rv}"),
        get("{cm}/a?resourceVersion=999999999"),
    ),
    case(
        "an unknown subresource",
        post("{widgets}", widget("a")),
        post("{gadgets}", gadget("a")),
        get("{widgets}/a/nope"),
        get("{gadgets}/a/status"),
        post("{cm}", config_map("a")),
        get("{cm}/a/status"),
    ),
    case("the health", get("/healthz"), get("/readyz"), get("/livez")),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_equal(case: Case, compare: Callable[[Case], None]) -> None:
    """A read answers the same."""
    compare(case)
