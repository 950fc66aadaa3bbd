"""410 and its relatives: the version is too old, or too new, for the server."""

from __future__ import annotations

import pytest

from kubemr.controller.client import Client
from support.fakeserver import FakeServer, refuse, reply, status, watching
from support.informers import eventually, pod, pods, running, versions

GONE = refuse(410, "Expired", "too old resource version")


async def test_410_on_the_first_page_falls_back_to_a_consistent_list(server: FakeServer, client: Client) -> None:
    """At once, without a version; a consistent list that is refused too is repeated after a wait."""
    server.expect(GONE, GONE, GONE, reply(pods(10, pod("a", 3))), watching())
    async with running(client) as (_, recorder):
        await eventually(lambda: recorder.changes == ["+a@3!"])
        await server.wait_for(4)
    assert versions(server.requests) == ["list@0", "list@", "list@", "list@", "watch@10"]
    times = [r.at - server.requests[0].at for r in server.requests[:4]]
    assert times == pytest.approx([0, 0, 0.8, 2.4], abs=0.05)


async def test_an_expired_continue_token_falls_back_to_one_consistent_list(server: FakeServer, client: Client) -> None:
    """The pages so far are thrown away; the new list is in one piece, so it cannot expire again."""
    server.expect(reply(pods(10, pod("a", 3), token="t1")), GONE, reply(pods(20, pod("b", 15))), watching())
    async with running(client) as (informer, recorder):
        await eventually(lambda: informer.has_synced)
        assert informer.store.keys() == ["ns/b"]
        await eventually(lambda: recorder.changes == ["+b@15!"])
        await server.wait_for(3)
    assert [r.query for r in server.requests[:3]] == [
        {"limit": "500", "resourceVersion": "0"},
        {"limit": "500", "continue": "t1"},
        {},
    ]
    assert server.requests[3].query["resourceVersion"] == "20"


@pytest.mark.parametrize(
    "gone",
    [GONE, watching(("ERROR", status(410, "Expired", "too old resource version")))],
    ids=["status", "event"],
)
async def test_410_in_a_watch_relists_not_older_than_what_was_seen(
    server: FakeServer, client: Client, gone: object
) -> None:
    """As HTTP status or as ERROR event.  What was deleted in between arrives as a tombstone."""
    server.expect(
        reply(pods(10, pod("a", 3), pod("b", 4), pod("c", 5))),
        watching(("MODIFIED", pod("b", 11)), then="end", after=5),
        gone,  # type: ignore[arg-type] # a Script, parametrized
        reply(pods(20, pod("b", 11), pod("c", 15), pod("d", 16))),
        watching(),
    )
    async with running(client) as (informer, recorder):
        await server.wait_for(4)
        assert recorder.changes == ["+a@3!", "+b@4!", "+c@5!", "b@4>b@11", "c@5>c@15", "+d@16", "-a@3?"]
        assert sorted(informer.store.keys()) == ["ns/b", "ns/c", "ns/d"]
    assert versions(server.requests) == ["list@0", "watch@10", "watch@11", "list@11", "watch@20"]
    assert server.requests[3].query["resourceVersionMatch"] == "NotOlderThan"
    assert server.requests[3].at - server.requests[2].at == pytest.approx(0.8, abs=0.05)


async def test_the_store_is_replaced_before_a_tombstone_is_told(server: FakeServer, client: Client) -> None:
    """A handler that receives a missed deletion finds the new state in the store."""
    seen: list[list[str]] = []

    class Looking:
        async def added(self, obj: object, *, initial: bool) -> None: ...

        async def updated(self, old: object, new: object) -> None: ...

        async def deleted(self, obj: object, *, tombstone: bool) -> None:
            assert tombstone
            seen.append(informer.store.keys())

    server.expect(reply(pods(10, pod("a", 3))), GONE, reply(pods(20, pod("z", 15))), watching())
    async with running(client) as (informer, _):
        informer.add_handler(Looking())
        await eventually(lambda: seen)
    assert seen == [["ns/z"]]


async def test_one_name_two_objects(server: FakeServer, client: Client) -> None:
    """Deleted and made again during a gap: a tombstone for the old one, then the new one."""
    server.expect(
        reply(pods(10, pod("a", 3, "old"), pod("b", 4, "old"))),
        watching(("MODIFIED", pod("b", 12, "new")), then="end", after=5),
        GONE,
        reply(pods(20, pod("a", 15, "new"), pod("b", 12, "new"))),
        watching(),
    )
    async with running(client) as (_, recorder):
        await server.wait_for(4)
        assert recorder.changes == ["+a@3!", "+b@4!", "-b@4?", "+b@12", "-a@3?", "+a@15"]


TOO_NEW = status(
    504,
    "Timeout",
    "Too large resource version: 11, current: 5",
    details={"causes": [{"reason": "ResourceVersionTooLarge"}]},
)


async def test_a_server_that_lags_behind_is_asked_for_a_consistent_list(server: FakeServer, client: Client) -> None:
    """504 ResourceVersionTooLarge: this server's cache has not reached what was seen."""
    server.expect(reply(pods(11)), GONE, reply(TOO_NEW, 504), reply(pods(30, pod("a", 25))), watching())
    async with running(client) as (_, recorder):
        await eventually(lambda: recorder.changes == ["+a@25"])
        await server.wait_for(4)
    assert versions(server.requests) == ["list@0", "watch@11", "list@11", "list@", "watch@30"]


async def test_a_list_that_is_older_than_what_was_seen_is_not_believed(server: FakeServer, client: Client) -> None:
    """The store never goes back in time: a consistent list is asked for at once."""
    server.expect(
        reply(pods(50, pod("a", 40))),
        GONE,
        reply(pods(20, pod("a", 10))),
        reply(pods(60, pod("a", 55))),
        watching(),
    )
    async with running(client) as (_, recorder):
        await server.wait_for(4)
        assert recorder.changes == ["+a@40!", "a@40>a@55"]
    assert versions(server.requests) == ["list@0", "watch@50", "list@50", "list@", "watch@60"]


async def test_a_consistent_list_is_believed_even_if_it_is_older(server: FakeServer, client: Client) -> None:
    """etcd was restored from a backup: that is the truth now."""
    server.expect(reply(pods(50, pod("a", 40))), GONE, reply(pods(20)), reply(pods(21, pod("a", 10))), watching())
    async with running(client) as (informer, recorder):
        await server.wait_for(4)
        assert recorder.changes == ["+a@40!", "a@40>a@10"]
        assert informer.resource_version == "21"


async def test_an_event_older_than_the_stored_object_is_ignored(server: FakeServer, client: Client) -> None:
    """Events that are sent twice, or late, change nothing."""
    server.expect(
        reply(pods(50, pod("a", 40))),
        watching(
            ("MODIFIED", pod("a", 39)),
            ("DELETED", pod("a", 38)),
            ("MODIFIED", pod("a", 40)),
            ("DELETED", pod("unknown", 51)),
            ("ADDED", pod("b", 52)),
        ),
    )
    async with running(client) as (informer, recorder):
        await eventually(lambda: len(recorder.changes) == 2)
        assert recorder.changes == ["+a@40!", "+b@52"]
        assert informer.store.find("ns", "a") == pod("a", 40)
        assert informer.resource_version == "52"


async def test_versions_that_are_no_numbers_are_taken_as_they_come(server: FakeServer, client: Client) -> None:
    """Of a server that makes other versions nothing is concluded."""
    odd = pod("a", 1)
    odd["metadata"]["resourceVersion"] = "x-1"
    later = pod("a", 1)
    later["metadata"]["resourceVersion"] = "b-2"
    listed = pods(0, odd)
    listed["metadata"]["resourceVersion"] = "x-1"
    server.expect(reply(listed), watching(("MODIFIED", later), then="end", after=2), watching())
    async with running(client) as (_, recorder):
        await server.wait_for(2)
        assert recorder.changes == ["+a@x-1!", "a@x-1>a@b-2"]
    assert versions(server.requests) == ["list@0", "watch@x-1", "watch@b-2"]
