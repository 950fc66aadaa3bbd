"""Delete: preconditions, policies, finalizers, collections."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from differential.cases import Case, case, config_map, delete, get, merge, op, patch, post, widget

CASES = [
    case(
        "an object",
        post("{cm}", config_map("a")),
        delete("{cm}/a"),
        get("{cm}/a"),
        delete("{cm}/a"),
        post("{widgets}", widget("a")),
        delete("{widgets}/a"),
        delete("{widgets}/a"),
    ),
    case(
        "with the uid",
        post("{widgets}", widget("a"), save="a"),
        delete("{widgets}/a", {"preconditions": {"uid": "{a.uid}"}}),
        get("{widgets}/a"),
    ),
    case(
        "with another uid",
        post("{widgets}", widget("a")),
        delete("{widgets}/a", {"preconditions": {"uid": "x"}}),
        post("{cm}", config_map("a")),
        delete("{cm}/a", {"preconditions": {"uid": "x"}}),
        get("{cm}/a"),
    ),
    case(
        "with the version",
        post("{cm}", config_map("a"), save="a"),
        delete("{cm}/a", {"preconditions": {"resourceVersion": "{a.rv}"}}),
        get("{cm}/a"),
    ),
    case(
        "with a stale version",
        post("{cm}", config_map("a"), save="a"),
        merge("{cm}/a", {"data": {"k": "v"}}),
        delete("{cm}/a", {"preconditions": {"resourceVersion": "{a.rv}"}}),
        get("{cm}/a"),
    ),
    *(
        case(
            f"with the policy {policy}",
            post("{cm}", config_map("a")),
            delete("{cm}/a", {"propagationPolicy": policy}),
            get("{cm}/a"),
            post("{widgets}", widget("a")),
            delete(f"{{widgets}}/a?propagationPolicy={policy}"),
            get("{widgets}/a"),
        )
        for policy in ("Background", "Foreground", "Orphan", "Nope")
    ),
    case(
        "with one policy after another",
        post("{cm}", config_map("a")),
        delete("{cm}/a", {"propagationPolicy": "Foreground"}),
        delete("{cm}/a", {"propagationPolicy": "Orphan"}),
        delete("{cm}/a"),
        delete("{cm}/a", {"propagationPolicy": "Background"}),
        get("{cm}/a"),
    ),
    case(
        "with orphanDependents",
        post("{cm}", config_map("a")),
        delete("{cm}/a", {"orphanDependents": True}),
        get("{cm}/a"),
    ),
    case(
        "with both ways to say it",
        post("{cm}", config_map("a")),
        delete("{cm}/a", {"orphanDependents": True, "propagationPolicy": "Orphan"}),
    ),
    case(
        "with options of their kind",
        post("{cm}", config_map("a")),
        delete("{cm}/a", {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}),
    ),
    case("dry", post("{cm}", config_map("a")), delete("{cm}/a?dryRun=All"), get("{cm}/a")),
    case(
        "with a finalizer",
        post(
            "{widgets}", widget("a", metadata={"name": "a", "finalizers": ["kubemr.dev/x", "kubemr.dev/y"]}), save="a"
        ),
        delete("{widgets}/a"),
        delete("{widgets}/a"),
        merge("{widgets}/a", {"lockholder": "still"}),
        merge("{widgets}/a/status", {"status": {"phase": "A"}}),
        post("{widgets}", widget("a")),
        merge("{widgets}/a", {"metadata": {"finalizers": ["kubemr.dev/x", "kubemr.dev/z"]}}),
        merge("{widgets}/a", {"metadata": {"finalizers": ["kubemr.dev/x"]}}),
        merge("{widgets}/a", {"metadata": {"deletionTimestamp": None}}),
        patch("{widgets}/a", op("remove", "/metadata/finalizers/0"), op("add", "/lockholder", "gone")),
        get("{widgets}/a"),
        post("{widgets}", widget("a")),
    ),
    case(
        "with a finalizer on a built-in kind",
        post("{cm}", config_map("a", metadata={"name": "a", "finalizers": ["kubemr.dev/x"]}), save="a"),
        delete("{cm}/a", {"preconditions": {"uid": "{a.uid}"}}),
        merge("{cm}/a", {"metadata": {"finalizers": ["kubemr.dev/x", "kubemr.dev/z"]}}),
        merge("{cm}/a", {"metadata": {"finalizers": []}}),
        get("{cm}/a"),
    ),
    case(
        "with a finalizer, in the foreground",
        post("{cm}", config_map("a", metadata={"name": "a", "finalizers": ["kubemr.dev/x"]})),
        delete("{cm}/a", {"propagationPolicy": "Foreground"}),
        merge("{cm}/a", {"metadata": {"finalizers": ["foregroundDeletion"]}}),
        merge("{cm}/a", {"metadata": {"finalizers": []}}),
        get("{cm}/a"),
    ),
    case(
        "a collection",
        *(post("{cm}", config_map(name, {"x": name})) for name in "abc"),
        delete("{cm}?labelSelector=x%20in%20(a%2Cb)"),
        get("{cm}"),
        delete("{cm}"),
        get("{cm}"),
    ),
    case(
        "a collection of custom objects",
        *(post("{widgets}", widget(name, {"x": name})) for name in "abc"),
        delete("{widgets}?labelSelector=x!%3Dc"),
        get("{widgets}"),
    ),
    case(
        "a collection with finalizers",
        post("{widgets}", widget("a", metadata={"name": "a", "finalizers": ["kubemr.dev/x"]})),
        post("{widgets}", widget("b")),
        delete("{widgets}"),
        get("{widgets}"),
    ),
    case(
        "a collection, in the foreground",
        post("{cm}", config_map("a")),
        delete("{cm}", {"propagationPolicy": "Foreground"}),
        get("{cm}"),
    ),
    case("a collection across namespaces", delete("/api/v1/configmaps")),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_equal(case: Case, compare: Callable[[Case], None]) -> None:
    """A delete does the same, at once or later, or is refused in the same words."""
    compare(case)
