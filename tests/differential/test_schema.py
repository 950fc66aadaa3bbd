"""Structural schemas: pruning, defaults, and every kind of refusal with its causes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from differential.cases import Case, case, get, merge, op, patch, post, widget

CASES = [
    *(
        case(
            f"spec {name}",
            post("{widgets}", widget("a", spec=spec)),
            post("{widgets}", widget("b")),
            merge("{widgets}/b", {"spec": spec}),
            get("{widgets}/b"),
        )
        for name, spec in {
            "empty": {},
            "with all of it": {
                "size": 1,
                "replicas": 1,
                "name": "x",
                "text": "t",
                "ratio": 0.5,
                "flag": True,
                "maybe": None,
                "mode": "Slow",
                "list": ["a"],
                "deep": {"key": "k"},
                "port": "http",
            },
            "below a minimum": {"size": -1},
            "of a string for a number": {"size": "1"},
            "of a fraction for an integer": {"size": 1.5},
            "of an integral float": {"size": 2.0},
            "of a bool for a number": {"size": True},
            "of a list for a number": {"size": []},
            "of an object for a string": {"text": {}},
            "of a number for a string": {"text": 1},
            "of a null for a string": {"text": None},
            "of a null where allowed": {"maybe": None},
            "of a null for a default": {"size": None},
            "too long": {"name": "x" * 11},
            "against a pattern": {"name": "ABC"},
            "too long and against a pattern": {"name": "A" * 11},
            "not in an enum": {"mode": "Warp"},
            "in no enum by type": {"mode": 5},
            "too many items": {"list": ["a"] * 5},
            "wrong items": {"list": ["a", 1, None, {}]},
            "without a required field": {"deep": {}},
            "with a default below": {"deep": {"key": "k"}},
            "with an unknown field below": {"deep": {"key": "k", "x": 1}},
            "with anything": {"any": {"a": [1, {"b": None}]}},
            "with an int for int-or-string": {"port": 5},
            "with a fraction for int-or-string": {"port": 1.5},
            "with a string for a bool": {"flag": "true"},
            "with an int for a number": {"ratio": 1},
            "with a string for a number": {"ratio": "1"},
            "with a large integer": {"size": 9223372036854775807},
            "with several mistakes": {"size": -1, "name": "ABC", "mode": "x", "list": [1], "deep": {}},
            "of a list": [],
            "of a string": "x",
        }.items()
    ),
    case(
        "without what is required",
        post("{widgets}", {"apiVersion": "differential.kubemr.dev/v1", "kind": "Widget", "metadata": {"name": "a"}}),
    ),
    case(
        "a map of strings",
        post("{widgets}", widget("a", tasks={"0": "x"})),
        post("{widgets}", widget("b", tasks={"0": 5})),
        post("{widgets}", widget("c", tasks={"0": "x" * 65})),
        post("{widgets}", widget("d", tasks={str(n): "x" for n in range(33)})),
        post("{widgets}", widget("e", tasks={"0": None})),
    ),
    case(
        "a mistake beside an unchanged one",
        post("{widgets}", widget("a", tasks={"0": "x"})),
        patch("{widgets}/a", op("add", "/tasks/1", "x" * 65)),
        patch("{widgets}/a", op("add", "/tasks/1", "x"), op("add", "/spec/size", -3), op("add", "/lockholder", 5)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_equal(case: Case, compare: Callable[[Case], None]) -> None:
    """The same object is stored, or the same causes are given."""
    compare(case)
