"""The garbage collector behaves as documented (kubernetes.io, "Garbage Collection"), one run at a time."""

from __future__ import annotations

from typing import Any

from kubemr.locks.effects import Request
from support.embedded import CONFIG_MAPS, NAMESPACES, Embedded


def _owner(obj: Any, **more: Any) -> dict[str, Any]:
    metadata = obj["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": metadata["name"], "uid": metadata["uid"], **more}
    return {"ownerReferences": [reference]}


def test_dependents_of_a_deleted_owner_go() -> None:
    """Background: the owner is deleted at once, its dependents and theirs by the next run."""
    server = Embedded()
    owner = server.create("owner")
    child = server.create("child", metadata=_owner(owner))
    server.create("grandchild", metadata=_owner(child))
    server.create("stranger")
    server.delete("owner", propagationPolicy="Background")
    assert server.names() == ["child", "grandchild", "stranger"]
    server.core.collect_garbage()
    assert server.names() == ["stranger"]


def test_the_owner_is_known_by_its_uid() -> None:
    """A new object of the owner's name does not keep the old one's dependents."""
    server = Embedded()
    owner = server.create("owner")
    server.create("child", metadata=_owner(owner))
    server.delete("owner")
    server.create("owner")
    server.core.collect_garbage()
    assert server.names() == ["owner"]


def test_foreground_waits_for_blocking_dependents() -> None:
    """The owner stays until the dependent with blockOwnerDeletion, held by a finalizer, is gone."""
    server = Embedded()
    owner = server.create("owner")
    blocking = _owner(owner, blockOwnerDeletion=True)
    server.create("child", metadata={**blocking, "finalizers": ["kubemr.dev/held"]})
    server.delete("owner", propagationPolicy="Foreground")
    server.core.collect_garbage()
    assert server.names() == ["child", "owner"]
    server.merge("child", {"metadata": {"finalizers": None}})
    server.core.collect_garbage()
    assert server.names() == []


def test_orphaned_dependents_stay() -> None:
    """Orphan: the owner goes, its dependents lose the reference and stay."""
    server = Embedded()
    owner = server.create("owner")
    server.create("child", metadata=_owner(owner))
    server.delete("owner", propagationPolicy="Orphan")
    server.core.collect_garbage()
    assert server.names() == ["child"]
    assert "ownerReferences" not in server.get("child").body["metadata"]


def test_one_owner_of_two_is_enough() -> None:
    """The reference to the deleted owner is removed; the dependent stays."""
    server = Embedded()
    one, two = server.create("one"), server.create("two")
    references = _owner(one)["ownerReferences"] + _owner(two)["ownerReferences"]
    server.create("child", metadata={"ownerReferences": references})
    server.delete("one")
    server.core.collect_garbage()
    assert [owner["name"] for owner in server.get("child").body["metadata"]["ownerReferences"]] == ["two"]


def test_a_terminating_namespace_is_emptied_then_removed() -> None:
    """Until then no object can be created in it."""
    server = Embedded(namespaces=("default",))
    server.create("a")
    server.core.handle(Request("delete", NAMESPACES, None, "default"))
    refused = server.core.handle(Request("create", CONFIG_MAPS, "default", body={"metadata": {"name": "b"}}))
    assert refused.status == 403
    server.core.collect_garbage()
    assert server.core.handle(Request("get", NAMESPACES, None, "default")).status == 404


def test_a_second_run_writes_nothing() -> None:
    """A run after which nothing is left to do is the last one that writes."""
    server = Embedded()
    server.create("child", metadata=_owner(server.create("owner")))
    server.delete("owner")
    assert server.core.collect_garbage() == 1
    assert server.core.collect_garbage() == 0
