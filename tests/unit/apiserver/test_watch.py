"""Subscriptions of the core: what `poll` returns, and how they end."""

from __future__ import annotations

from kubemr.local.apiserver.watch import Subscription
from support.embedded import CONFIG_MAPS, Embedded


def _watch(server: Embedded, version: str = "", **more: object) -> Subscription:
    opened = server.core.subscribe(CONFIG_MAPS, "default", version, **more)  # type: ignore[arg-type]  # test's own words
    assert isinstance(opened, Subscription)
    return opened


def test_poll_returns_each_event_once() -> None:
    """What has been polled is not returned again."""
    server = Embedded()
    watch = _watch(server)
    server.create("a")
    assert [event["type"] for event in watch.poll()] == ["ADDED"]
    assert watch.poll() == []
    server.merge("a", {"data": {"k": "v"}})
    server.delete("a")
    assert [event["type"] for event in watch.poll()] == ["MODIFIED", "DELETED"]


def test_a_watch_resumes_from_a_version() -> None:
    """Exactly the changes after that version are delivered."""
    server = Embedded()
    version = server.create("a")["metadata"]["resourceVersion"]
    server.create("b")
    events = _watch(server, version).poll()
    assert [event["object"]["metadata"]["name"] for event in events] == ["b"]


def test_a_watcher_that_lags_behind_the_history_is_told() -> None:
    """It gets one ERROR event of code 410, and nothing after it."""
    server = Embedded()
    watch = _watch(server, server.create("a")["metadata"]["resourceVersion"])
    server.create("b")
    server.core.compact()
    events = watch.poll()
    assert [(event["type"], event["object"]["code"]) for event in events] == [("ERROR", 410)]
    assert watch.closed
    server.create("c")
    assert watch.poll() == []


def test_a_refused_watch_is_an_answer() -> None:
    """A selector that cannot be parsed is a 400, not a stream."""
    opened = Embedded().core.subscribe(CONFIG_MAPS, "default", label_selector="a===b")
    assert not isinstance(opened, Subscription)
    assert opened.status == 400


def test_a_bookmark_holds_the_newest_version() -> None:
    """A watch can resume from its resourceVersion."""
    server = Embedded()
    watch = _watch(server)
    server.create("a")
    watch.poll()
    version = watch.bookmark()["object"]["metadata"]["resourceVersion"]
    assert version == str(server.core.revision)
    assert _watch(server, version).poll() == []


def test_events_of_other_namespaces_are_not_delivered() -> None:
    """A watch of one namespace does not deliver events of other namespaces."""
    server = Embedded(namespaces=("default", "other"))
    watch = server.core.subscribe(CONFIG_MAPS, "other")
    assert isinstance(watch, Subscription)
    server.create("a")
    assert watch.poll() == []
