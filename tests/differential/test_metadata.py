"""Labels, annotations, finalizers and owners: what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from differential.cases import Case, case, config_map, merge, post, widget

OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}

CASES = [
    *(
        case(
            f"label {key[:30]!r}={value[:20]!r}",
            post("{cm}", config_map("a", {key: value})),
            post("{widgets}", widget("a", {key: value})),
        )
        for key, value in (
            ("a", "b"),
            ("a", ""),
            ("a b", "c"),
            ("a", "b c"),
            ("a", "x" * 64),
            ("x" * 64, "a"),
            ("A_b.c-d", "E"),
            ("/a", "b"),
            ("a/", "b"),
            ("a/b/c", "d"),
            ("kubemr.dev/a", "b"),
            ("Kubemr/a", "b"),
            ("a" * 254 + "/b", "c"),
            ("-a", "b"),
            ("a", "-b"),
            ("", "a"),
            ("a", "é"),
        )
    ),
    *(
        case(
            f"annotation {key[:30]!r}",
            post("{cm}", config_map("a", metadata={"name": "a", "annotations": {key: "any thing"}})),
        )
        for key in ("a", "a b", "Kubemr.dev/A", "/a", "a/b/c", "x" * 64)
    ),
    case(
        "annotations that are too long",
        post("{cm}", config_map("a", metadata={"name": "a", "annotations": {"a": "x" * (256 * 1024)}})),
    ),
    *(
        case(
            f"finalizer {name!r}",
            post("{cm}", config_map("a", metadata={"name": "a", "finalizers": [name]})),
            post("{widgets}", widget("a", metadata={"name": "a", "finalizers": [name]})),
        )
        for name in ("x", "kubemr.dev/x", "orphan", "foregroundDeletion", "a b", "kubernetes", "a/b/c")
    ),
    *(
        case(
            f"owner {name}",
            post("{cm}", config_map("a", metadata={"name": "a", "ownerReferences": owners})),
            post("{widgets}", widget("a", metadata={"name": "a", "ownerReferences": owners})),
        )
        for name, owners in {
            "complete": [OWNER],
            "that controls": [{**OWNER, "controller": True, "blockOwnerDeletion": False}],
            "without uid": [{**OWNER, "uid": ""}],
            "without kind": [{**OWNER, "kind": ""}],
            "without name": [{**OWNER, "name": ""}],
            "without version": [{**OWNER, "apiVersion": ""}],
            "that is empty": [{}],
            "twice in control": [{**OWNER, "controller": True}, {**OWNER, "uid": "v", "controller": True}],
            "once in control": [{**OWNER, "controller": True}, {**OWNER, "uid": "v", "controller": False}],
            "with unknown fields": [{**OWNER, "bogus": 1}],
            "of no object": ["x"],
            "of no list": {},
        }.items()
    ),
    case(
        "several mistakes",
        post("{cm}", config_map("A", {"a b": "c d"}, data={"x y": "z"})),
        post("{widgets}", widget("A", {"a b": "c d"}, spec={"size": -1})),
    ),
    case(
        "mistakes in a change",
        post("{cm}", config_map("a")),
        merge("{cm}/a", {"metadata": {"labels": {"a b": "c"}}}),
        merge("{cm}/a", {"metadata": {"annotations": {"a b": "c"}}}),
        merge("{cm}/a", {"metadata": {"finalizers": ["x"]}}),
        merge("{cm}/a", {"metadata": {"ownerReferences": [{}]}}),
    ),
    case(
        "mistakes in a change of a custom object",
        post("{widgets}", widget("a")),
        merge("{widgets}/a", {"metadata": {"labels": {"a b": "c"}}}),
        merge("{widgets}/a", {"metadata": {"annotations": {"a b": "c"}}}),
        merge("{widgets}/a", {"metadata": {"finalizers": ["x"]}}),
        merge("{widgets}/a", {"metadata": {"ownerReferences": [{}]}}),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_equal(case: Case, compare: Callable[[Case], None]) -> None:
    """The same metadata is accepted, and the same refused with the same causes."""
    compare(case)
