"""Documents are shared, and never changed once they have been answered."""

from __future__ import annotations

import copy

from kubemr.local.apiserver.jsonpatch import apply
from support.embedded import Embedded


def test_a_patch_leaves_the_old_document_as_it_was() -> None:
    """What was answered before a patch still reads the same after it."""
    server = Embedded()
    before = server.create("a", data={"k": "v"})
    remembered = copy.deepcopy(before)
    assert server.patch("a", {"op": "replace", "path": "/data/k", "value": "w"}).body["data"] == {"k": "w"}
    assert before == remembered


def test_a_patch_copies_only_what_it_changes() -> None:
    """What lies beside the path of a change is the same object before and after."""
    document = {"a": {"b": [1, 2]}, "c": {"d": [3]}}
    changed = apply(document, [{"op": "add", "path": "/a/b/-", "value": 3}])
    assert changed == {"a": {"b": [1, 2, 3]}, "c": {"d": [3]}}
    assert changed["c"] is document["c"]
    assert document["a"]["b"] == [1, 2]


def test_a_copy_within_a_patch_is_independent() -> None:
    """After `copy`, a write to either side does not show on the other."""
    operations = [
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/a/y", "value": 2},
        {"op": "add", "path": "/b/z", "value": 3},
    ]
    assert apply({"a": {}}, operations) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "z": 3}}


def test_a_patch_value_is_not_written_to() -> None:
    """An operation that writes into what an earlier one added leaves the request's body alone."""
    added: dict[str, object] = {}
    operations = [{"op": "add", "path": "/a", "value": added}, {"op": "add", "path": "/a/b", "value": 1}]
    apply({}, operations)
    assert added == {}


def test_the_same_requests_give_the_same_answers() -> None:
    """Two servers with equal sources answer equally: the simulation can be replayed."""

    def run() -> list[object]:
        server = Embedded()
        return [
            server.create("a", data={"k": "v"}),
            server.merge("a", {"data": {"k": "w"}}).body,
            server.delete("a").body,
            server.core.revision,
        ]

    assert run() == run()
