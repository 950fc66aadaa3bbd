"""Watches: events, selector transitions, versions that are too old, and the bookmark that ends initial events.

Periodic bookmarks are not compared: when, and whether, the real server sends them it does not promise.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from differential.cases import Case, case, config_map, delete, get, merge, op, patch, post, watch, widget

CASES = [
    case(
        "from a list on",
        post("{cm}", config_map("a")),
        get("{cm}", save="list"),
        post("{cm}", config_map("b")),
        merge("{cm}/a", {"data": {"k": "v"}}),
        merge("{cm}/a", {"data": {"k": "v"}}),
        delete("{cm}/b"),
        post("{cm}", config_map("b")),
        watch("{cm}?watch=1&timeoutSeconds=1&resourceVersion={list.rv}"),
    ),
    case(
        "of custom objects",
        post("{widgets}", widget("a")),
        get("{widgets}", save="list"),
        post("{widgets}", widget("b")),
        patch("{widgets}/a", op("add", "/lockholder", "me")),
        merge("{widgets}/a/status", {"status": {"phase": "A"}}),
        delete("{widgets}/b"),
        watch("{widgets}?watch=1&timeoutSeconds=1&resourceVersion={list.rv}"),
    ),
    case(
        "by label, into and out of it",
        post("{widgets}", widget("a", {"state": "open"})),
        get("{widgets}", save="list"),
        merge("{widgets}/a", {"metadata": {"labels": {"state": "drained"}}}),
        merge("{widgets}/a", {"lockholder": "unseen"}),
        merge("{widgets}/a", {"metadata": {"labels": {"state": "open"}}}),
        merge("{widgets}/a", {"lockholder": "seen"}),
        post("{widgets}", widget("b", {"state": "drained"})),
        delete("{widgets}/b"),
        delete("{widgets}/a"),
        watch("{widgets}?watch=1&timeoutSeconds=1&labelSelector=state%3Dopen&resourceVersion={list.rv}"),
        watch("{widgets}?watch=1&timeoutSeconds=1&labelSelector=state!%3Dopen&resourceVersion={list.rv}"),
    ),
    case(
        "of one object by its name",
        get("{cm}", save="list"),
        post("{cm}", config_map("a")),
        post("{cm}", config_map("b")),
        watch("{cm}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Db&resourceVersion={list.rv}"),
    ),
    case(
        "without a version",
        post("{cm}", config_map("b")),
        post("{cm}", config_map("a")),
        watch("{cm}?watch=1&timeoutSeconds=1"),
        watch("{cm}?watch=1&timeoutSeconds=1&resourceVersion=0"),
    ),
    case(
        "without a version, by label",
        post("{cm}", config_map("b", {"x": "1"})),
        post("{cm}", config_map("a")),
        watch("{cm}?watch=1&timeoutSeconds=1&labelSelector=x"),
    ),
    case(
        "from a version of one object",
        post("{cm}", config_map("a"), save="a"),
        post("{cm}", config_map("b")),
        watch("{cm}?watch=1&timeoutSeconds=1&resourceVersion={a.rv}"),
    ),
    case(
        "from a version that is too old",
        watch("{widgets}?watch=1&timeoutSeconds=1&resourceVersion=1"),
        watch("{gadgets}?watch=1&timeoutSeconds=1&resourceVersion=2&allowWatchBookmarks=true"),
    ),
    case("from a version of the future", watch("{cm}?watch=1&timeoutSeconds=1&resourceVersion=999999999")),
    case(
        "with initial events",
        post("{widgets}", widget("a")),
        post("{widgets}", widget("b")),
        watch(
            "{widgets}?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        ),
    ),
    case(
        "with initial events of built-in objects",
        post("{cm}", config_map("a")),
        watch(
            "{cm}?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=0"
        ),
    ),
    case(
        "with initial events of nothing",
        watch(
            "{cm}?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        ),
    ),
    case(
        "of an object with finalizers",
        get("{cm}", save="list"),
        post("{cm}", config_map("a", metadata={"name": "a", "finalizers": ["kubemr.dev/x"]})),
        delete("{cm}/a"),
        delete("{cm}/a"),
        merge("{cm}/a", {"metadata": {"finalizers": None}}),
        watch("{cm}?watch=1&timeoutSeconds=1&resourceVersion={list.rv}"),
    ),
    case(
        "of failures and of what changes nothing",
        post("{widgets}", widget("a"), save="a"),
        patch("{widgets}/a", op("test", "/lockholder", "x")),
        patch("{widgets}/a", op("test", "/lockholder", None)),
        merge("{widgets}/a", {"spec": {"size": 3}}),
        merge("{widgets}/a", {"status": {"phase": "A"}}),
        watch("{widgets}?watch=1&timeoutSeconds=1&resourceVersion={a.rv}"),
    ),
    *(
        case(
            f"refused: {query}",
            get("{cm}?watch=1&timeoutSeconds=1&" + query),
            get("{widgets}?watch=1&timeoutSeconds=1&" + query),
        )
        for query in (
            "resourceVersion=x",
            "labelSelector=a%3D%3D%3Db",
            "fieldSelector=nope%3Dx",
            "sendInitialEvents=true",
            "resourceVersionMatch=NotOlderThan&resourceVersion=1",
            "sendInitialEvents=true&resourceVersionMatch=Exact",
        )
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_equal(case: Case, compare: Callable[[Case], None]) -> None:
    """A watcher hears the same events in the same order."""
    compare(case)
