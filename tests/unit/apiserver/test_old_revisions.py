"""Lists of older revisions, and where the history ends."""

from __future__ import annotations

from kubemr.locks.effects import Answer, Request
from support.embedded import CONFIG_MAPS, Embedded

LIST = Request("list", CONFIG_MAPS, "default", query={"resourceVersion": "0"})


def _names(answer: Answer) -> list[str]:
    return [item["metadata"]["name"] for item in answer.body["items"]]


def test_a_stale_list_shows_the_state_of_its_revision() -> None:
    """Objects made later are missing, removed ones are there, changed ones as they were."""
    server = Embedded()
    server.create("a", data={"k": "old"})
    server.create("b")
    revision = server.core.revision
    server.create("c")
    server.delete("b")
    server.merge("a", {"data": {"k": "new"}})
    stale = server.core.stale_list(LIST, revision)
    assert _names(stale) == ["a", "b"]
    assert stale.body["items"][0]["data"] == {"k": "old"}
    assert stale.body["metadata"]["resourceVersion"] == str(revision)
    assert _names(server.core.handle(LIST)) == ["a", "c"]


def test_a_stale_list_obeys_selectors() -> None:
    """The labels are those of that revision."""
    server = Embedded()
    server.create("a", metadata={"labels": {"x": "1"}})
    revision = server.core.revision
    server.merge("a", {"metadata": {"labels": {"x": "2"}}})
    request = Request("list", CONFIG_MAPS, "default", query={"labelSelector": "x=1"})
    assert _names(server.core.stale_list(request, revision)) == ["a"]
    assert _names(server.core.handle(request)) == []


def test_a_list_from_before_a_compaction_is_gone() -> None:
    """The answer is a 410 with the reason Expired."""
    server = Embedded()
    server.create("a")
    revision = server.core.revision
    server.create("b")
    server.core.compact()
    answer = server.core.stale_list(LIST, revision)
    assert (answer.status, answer.reason) == (410, "Expired")


def test_a_continue_token_from_before_a_compaction_is_gone() -> None:
    """The error contains a token with which the list can continue inconsistently, as in the real server."""
    server = Embedded()
    for name in "abc":
        server.create(name)
    first = server.core.handle(Request("list", CONFIG_MAPS, "default", query={"limit": "1"}))
    server.create("d")
    server.core.compact()
    query = {"limit": "5", "continue": first.body["metadata"]["continue"]}
    late = server.core.handle(Request("list", CONFIG_MAPS, "default", query=query))
    assert (late.status, late.reason) == (410, "Expired")
    assert server.names(**{"continue": late.body["metadata"]["continue"]}) == ["b", "c", "d"]


def test_the_history_is_bounded() -> None:
    """After more than twice as many changes as are kept, the oldest are forgotten."""
    server = Embedded(history=10)
    server.create("a")
    revision = server.core.revision
    for count in range(25):
        server.merge("a", {"data": {"k": str(count)}})
    assert server.core.stale_list(LIST, revision).status == 410
    assert server.core.stale_list(LIST, server.core.revision - 5).ok
