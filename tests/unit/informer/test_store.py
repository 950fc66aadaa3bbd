"""The store: objects by key and by index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.controller.informer import Object, Store, by_label, make_key
from support.informers import pod


def owners_of(obj: Object) -> list[str]:
    """Return several values, or none, for one object: an index function."""
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences", [])]


def indexed(store: Store, index: str) -> set[str]:
    """Return the values under which `index` keeps a set of keys, even an empty one."""
    return set(store._indexes[index])


def test_by_key() -> None:
    """Namespaced objects by `namespace/name`, others by name."""
    store = Store()
    node: Object = {"metadata": {"name": "n1"}}
    for obj in [pod("a", 1), node]:
        store.put(obj)
    assert store.get("ns/a") == store.find("ns", "a") == pod("a", 1)
    assert store.find(None, "n1") is node
    assert store.get("ns/b") is None
    assert "ns/a" in store
    assert len(store) == 2
    assert sorted(store.keys()) == ["n1", "ns/a"]
    assert [obj["metadata"]["name"] for obj in store] == ["a", "n1"]
    assert make_key("", "x") == "x"


def test_indexes_follow_changes() -> None:
    """An object is found under its present values only; empty sets go away."""
    store = Store({"job": by_label("job"), "owner": owners_of})
    owners = [{"uid": "u1"}, {"uid": "u2"}]
    store.put(pod("a", 1, labels={"job": "x"}, ownerReferences=owners))
    store.put(pod("b", 1, labels={"job": "x"}))
    store.put({"metadata": {"name": "n1"}})
    for uid in ("u1", "u2"):
        assert [obj["metadata"]["name"] for obj in store.select("owner", uid)] == ["a"]
    assert len(store.select("job", "x")) == 2
    store.put(pod("a", 2, labels={"job": "y"}))
    assert store.select("owner", "u1") == []
    assert [obj["metadata"]["name"] for obj in store.select("job", "x")] == ["b"]
    assert indexed(store, "job") == {"x", "y"}
    assert indexed(store, "owner") == set()
    store.remove("ns/a")
    store.remove("ns/a")
    assert indexed(store, "job") == {"x"}
    with pytest.raises(KeyError, match="nonsense"):
        store.select("nonsense", "x")


def test_an_index_function_that_fails_changes_nothing() -> None:
    """Neither the object nor any index."""

    def picky(obj: Object) -> list[str]:
        if obj["metadata"]["resourceVersion"] == "2":
            raise ValueError("2")
        return ["x"]

    store = Store({"picky": picky})
    store.put(pod("a", 1))
    with pytest.raises(ValueError, match="2"):
        store.put(pod("a", 2))
    with pytest.raises(ValueError, match="2"):
        store.replace([pod("b", 1), pod("a", 2)])
    assert store.keys() == ["ns/a"]
    assert store.select("picky", "x") == [pod("a", 1)]


names = st.sampled_from("abcd")
steps = st.lists(st.one_of(st.tuples(names, st.lists(names)), st.tuples(names, st.none()), st.lists(names)))


@given(steps)
def test_indexes_equal_a_search(changes: list[object]) -> None:
    """After any puts, removals and replacements an index finds exactly what a search would."""
    store = Store({"i": lambda obj: obj["values"]})
    for change in changes:
        match change:
            case (str(name), None):
                store.remove(name)
            case (str(name), values):
                store.put({"metadata": {"name": name}, "values": values})
            case list(some):
                store.replace([{"metadata": {"name": name}, "values": some} for name in some])
    for value in "abcd":
        found = [obj["metadata"]["name"] for obj in store.select("i", value)]
        assert sorted(found) == sorted(obj["metadata"]["name"] for obj in store if value in obj["values"])
    assert indexed(store, "i") == {value for obj in store for value in obj["values"]}
