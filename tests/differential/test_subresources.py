"""The subresources status and scale of a custom resource."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from differential.cases import Case, case, gadget, get, merge, op, patch, post, put, widget

CASES = [
    case(
        "status: read and write",
        post("{widgets}", widget("a")),
        get("{widgets}/a/status"),
        merge("{widgets}/a/status", {"status": {"phase": "A"}}),
        get("{widgets}/a/status"),
    ),
    case(
        "status: ignores the rest",
        post("{widgets}", widget("a")),
        merge(
            "{widgets}/a/status",
            {
                "spec": {"size": 9},
                "lockholder": "x",
                "metadata": {"labels": {"a": "b"}, "finalizers": ["kubemr.dev/x"]},
                "status": {"phase": "A"},
            },
        ),
        merge("{widgets}/a/status", {"spec": {"size": 9}}),
    ),
    case(
        "status: is ignored by the rest",
        post("{widgets}", widget("a")),
        merge("{widgets}/a/status", {"status": {"phase": "A"}}),
        merge("{widgets}/a", {"status": {"phase": "B"}}),
        merge("{widgets}/a", {"status": None, "spec": {"size": 5}}),
    ),
    case(
        "status: tests of the rest hold",
        post("{widgets}", widget("a"), save="a"),
        patch(
            "{widgets}/a/status",
            op("test", "/metadata/uid", "{a.uid}"),
            op("test", "/spec/size", 3),
            op("test", "/status", None),
            op("add", "/status", {"phase": "A"}),
        ),
        patch("{widgets}/a/status", op("test", "/status/phase", "B"), op("replace", "/status/phase", "A")),
    ),
    case(
        "status: tests within one patch see its writes",
        post("{widgets}", widget("a")),
        patch("{widgets}/a/status", op("add", "/status", {"phase": "A"}), op("test", "/status/phase", "A")),
    ),
    case(
        "status: checked",
        post("{widgets}", widget("a")),
        merge("{widgets}/a/status", {"status": {"phase": "C"}}),
        merge("{widgets}/a/status", {"status": {"phase": 5}}),
        merge("{widgets}/a/status", {"status": {"bogus": 5}}),
        merge("{widgets}/a/status", {"status": 5}),
    ),
    case(
        "status: replaced",
        post("{widgets}", widget("a"), save="a"),
        put(
            "{widgets}/a/status",
            widget("a", spec={"size": 8}, status={"phase": "B"}, metadata={"name": "a", "resourceVersion": "{a.rv}"}),
        ),
        put(
            "{widgets}/a/status",
            widget("a", status={"phase": "A"}, metadata={"name": "a", "resourceVersion": "{a.rv}"}),
        ),
    ),
    case(
        "status: with the rest invalid",
        post("{widgets}", widget("a")),
        merge("{widgets}/a/status", {"spec": {"size": -1}, "status": {"phase": "A"}}),
        merge("{widgets}/a/status", {"metadata": {"labels": {"a b": "c"}}, "status": {"phase": "B"}}),
    ),
    case(
        "status: the uid and the version",
        post("{widgets}", widget("a")),
        merge("{widgets}/a/status", {"metadata": {"uid": "x"}, "status": {"phase": "A"}}),
        merge("{widgets}/a/status", {"metadata": {"resourceVersion": "1"}, "status": {"phase": "A"}}),
    ),
    case(
        "status: not there",
        merge("{widgets}/a/status", {}),
        merge("{gadgets}/a/status", {}),
        post("{gadgets}", gadget("a")),
        merge("{gadgets}/a/status", {}),
    ),
    case(
        "scale: read",
        post("{widgets}", widget("a", spec={"replicas": 2})),
        get("{widgets}/a/scale"),
        merge("{widgets}/a/status", {"status": {"replicas": 1}}),
        get("{widgets}/a/scale"),
    ),
    case(
        "scale: without replicas",
        post("{widgets}", widget("a")),
        get("{widgets}/a/scale"),
        merge("{widgets}/a/scale", {"spec": {"replicas": 4}}),
        get("{widgets}/a"),
    ),
    case(
        "scale: by JSON Patch",
        post("{widgets}", widget("a", spec={"replicas": 2})),
        patch("{widgets}/a/scale", op("test", "/spec/replicas", 2), op("replace", "/spec/replicas", 5)),
        patch("{widgets}/a/scale", op("test", "/spec/replicas", 2)),
        get("{widgets}/a"),
    ),
    case(
        "scale: below zero",
        post("{widgets}", widget("a", spec={"replicas": 2})),
        merge("{widgets}/a/scale", {"spec": {"replicas": -1}}),
        merge("{widgets}/a", {"spec": {"replicas": -1}}),
    ),
    case(
        "scale: to zero",
        post("{widgets}", widget("a", spec={"replicas": 2})),
        merge("{widgets}/a/scale", {"spec": {"replicas": 0}}),
        get("{widgets}/a/scale"),
        get("{widgets}/a"),
    ),
    case(
        "scale: at a stale version",
        post("{widgets}", widget("a", spec={"replicas": 2})),
        merge("{widgets}/a/scale", {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 3}}),
    ),
    case(
        "scale: not there",
        get("{widgets}/a/scale"),
        merge("{widgets}/a/scale", {}),
        post("{gadgets}", gadget("a")),
        get("{gadgets}/a/scale"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_equal(case: Case, compare: Callable[[Case], None]) -> None:
    """Each changes its own part and nothing else."""
    compare(case)
