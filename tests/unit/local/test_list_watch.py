"""A collection is followed: all objects first, then every change, whatever goes wrong with a watch."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest

from kubemr.coordination.kinds import CONFIG_MAPS
from kubemr.local.list_watch import Changed, Listed, follow
from kubemr.locks.config import Server
from kubemr.locks.errors import StreamRefusedError
from kubemr.locks.threads import Stop
from support.embeddedclient import Api
from support.rawserver import Behaviour, RawServer, read_request, reply


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


def names(event: Listed | Changed) -> Any:
    if isinstance(event, Listed):
        return sorted(item["metadata"]["name"] for item in event.items)
    return (event.type, event.object["metadata"]["name"])


def test_everything_first_then_changes(api: Api) -> None:
    """There is one list, then ADDED, MODIFIED and DELETED as they happen."""
    api.send("create", CONFIG_MAPS, body=config_map("a"))
    events = follow(api.server, CONFIG_MAPS, "default", Stop())
    assert names(next(events)) == ["a"]
    api.send("create", CONFIG_MAPS, body=config_map("b"))
    assert names(next(events)) == ("ADDED", "b")
    api.send("replace", CONFIG_MAPS, "b", body={**config_map("b"), "data": {"x": "y"}})
    assert names(next(events)) == ("MODIFIED", "b")
    api.send("delete", CONFIG_MAPS, "b")
    assert names(next(events)) == ("DELETED", "b")
    events.close()


def test_selectors(api: Api) -> None:
    """A collection can be selected by label and by field."""
    api.send("create", CONFIG_MAPS, body=config_map("a", mine="yes"))
    api.send("create", CONFIG_MAPS, body=config_map("b"))
    by_label = follow(api.server, CONFIG_MAPS, "default", Stop(), label_selector="mine=yes")
    assert names(next(by_label)) == ["a"]
    by_field = follow(api.server, CONFIG_MAPS, "default", Stop(), field_selector="metadata.name=b")
    assert names(next(by_field)) == ["b"]
    by_label.close()
    by_field.close()


def test_stop_ends_a_quiet_watch(api: Api) -> None:
    """Another thread can end it at once."""
    stop = Stop()
    ended = threading.Event()

    def run() -> None:
        for _ in follow(api.server, CONFIG_MAPS, "default", stop):
            listed.set()
        ended.set()

    listed = threading.Event()
    threading.Thread(target=run, daemon=True).start()
    assert listed.wait(60)
    stop.set()
    assert ended.wait(60)


def test_a_refusal_is_an_error(api: Api) -> None:
    """A request with the wrong token is not retried."""
    with pytest.raises(StreamRefusedError, match="HTTP 401"):
        next(follow(Server(api.server.url, token="wrong"), CONFIG_MAPS, "default", Stop()))


def listing(version: str, *items: str) -> bytes:
    """An answer to a list."""
    objects = [config_map(name) for name in items]
    return reply(json.dumps({"metadata": {"resourceVersion": version}, "items": objects}).encode())


def stream(*events: Any) -> bytes:
    """An answer to a watch, which ends after these events."""
    return reply(b"".join(json.dumps(event).encode() + b"\n" for event in events))


def event(kind: str, name: str, version: str) -> dict[str, Any]:
    document = config_map(name)
    document["metadata"]["resourceVersion"] = version
    return {"type": kind, "object": document}


EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}


def scripted(*answers: bytes) -> tuple[RawServer, list[str]]:
    """Yield a server that gives each connection one of the answers, and the first lines of the requests."""
    received: list[str] = []

    def behaviour(answer: bytes) -> Behaviour:
        def behave(peer: socket.socket) -> None:
            received.append(read_request(peer).split(b"\r\n")[0].decode())
            peer.sendall(answer)

        return behave

    return RawServer(*map(behaviour, answers)), received


def test_a_watch_that_ends_is_resumed_where_it_was() -> None:
    """It resumes from the version of its last event, which may be a bookmark; bookmarks are not yielded."""
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    server, received = scripted(
        listing("5"), stream(event("ADDED", "a", "6"), bookmark), stream(event("ADDED", "b", "10"))
    )
    events = follow(Server(server.url), CONFIG_MAPS, "default", Stop())
    assert [names(next(events)) for _ in range(3)] == [[], ("ADDED", "a"), ("ADDED", "b")]
    events.close()
    server.close()
    assert ["resourceVersion=5" in received[1], "resourceVersion=9" in received[2]] == [True, True]


def test_a_forgotten_version_lists_anew() -> None:
    """After a 410 all objects are listed again, so that the caller can find what was deleted in the meantime."""
    server, received = scripted(listing("5", "a"), stream(EXPIRED), listing("7", "b"), stream(event("ADDED", "c", "8")))
    events = follow(Server(server.url), CONFIG_MAPS, "default", Stop())
    assert [names(next(events)) for _ in range(3)] == [["a"], ["b"], ("ADDED", "c")]
    events.close()
    server.close()
    assert "watch" not in received[2]


def test_another_error_of_a_watch_is_an_error() -> None:
    """It is not taken for the end of the stream."""
    status = {"kind": "Status", "code": 500, "message": "all is lost"}
    server, _ = scripted(listing("5"), stream({"type": "ERROR", "object": status}))
    events = follow(Server(server.url), CONFIG_MAPS, "default", Stop())
    next(events)
    with pytest.raises(StreamRefusedError, match="all is lost"):
        next(events)
    server.close()


def test_a_broken_event_is_not_read() -> None:
    """If the connection breaks within an event, the next connection delivers the whole event."""
    whole = json.dumps(event("ADDED", "a", "6")).encode()
    server, _ = scripted(listing("5"), reply(whole[: len(whole) // 2]), stream(event("ADDED", "a", "6")))
    events = follow(Server(server.url), CONFIG_MAPS, "default", Stop())
    assert [names(next(events)) for _ in range(2)] == [[], ("ADDED", "a")]
    events.close()
    server.close()


def test_a_lost_connection_is_made_again() -> None:
    """The caller sees only a pause."""
    server, _ = scripted(b"", listing("5", "a"), b"", stream(event("ADDED", "b", "6")))
    events = follow(Server(server.url), CONFIG_MAPS, "default", Stop())
    assert [names(next(events)) for _ in range(2)] == [["a"], ("ADDED", "b")]
    events.close()
    server.close()
