"""Waiting for the first event of a watch, and following all of them."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable
from http.client import HTTPException

import pytest

from kubemr.locks import HttpTransport, Resource, Server, Stop
from kubemr.locks.effects import Watch, WatchEvent
from kubemr.locks.errors import StreamRefusedError
from support.gadgets import Gadgets
from support.rawserver import RawServer, read_request, reply, until_client_leaves

Start = Callable[..., RawServer]
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GADGETS = Resource("example.com", "v1", "gadgets")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked answer."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def streaming(*parts: bytes) -> Callable[[socket.socket], None]:
    """Answers with a stream of these parts, and keeps it open."""

    def behave(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(HEAD + b"".join(chunk(part) for part in parts))
        until_client_leaves(peer)

    return behave


def test_a_change_is_reported(gadgets: Gadgets, transport: HttpTransport) -> None:
    """The real server's first event after the version that was named."""
    target = gadgets.create()
    version = gadgets.get(target)["metadata"]["resourceVersion"]
    gadgets.patch(target, {"op": "add", "path": "/made", "value": 5})
    watch = Watch(target.resource, gadgets.namespace, version, 30, field_selector=f"metadata.name={target.name}")
    event = transport.wait(watch)
    assert event is not None
    assert (event.type, event.object["made"]) == ("MODIFIED", 5)


def test_nothing_happens_in_the_time(gadgets: Gadgets, transport: HttpTransport) -> None:
    """None, after the time given and by our own clock."""
    target = gadgets.create()
    version = gadgets.get(target)["metadata"]["resourceVersion"]
    selector = f"metadata.name={target.name}"
    assert transport.wait(Watch(target.resource, gadgets.namespace, version, 0.2, field_selector=selector)) is None


def test_bookmarks_are_passed_over(raw_server: Start) -> None:
    """They are no news; and an event may come in pieces."""
    bookmark = b'{"type": "BOOKMARK", "object": {}}\n'
    server = raw_server(streaming(bookmark, b'{"type": "ADD', b'ED", "object": {"a": 1}}\n'))
    with HttpTransport(Server(server.url)) as transport:
        event = transport.wait(Watch(GADGETS, "n", "1", 30, label_selector="a=b"))
    assert event == WatchEvent("ADDED", {"a": 1})


@pytest.mark.parametrize(
    "answer",
    [
        reply(b'{"kind": "Status"}', "410 Gone"),
        HEAD + b"0\r\n\r\n",
        HEAD + chunk(b'{"type": "ADDED"') + b"0\r\n\r\n",
        HEAD + chunk(b"junk\n"),
        b"junk\r\n",
    ],
)
def test_a_watch_that_fails_is_none(raw_server: Start, answer: bytes) -> None:
    """Refused, ended, broken off inside an event, no JSON, no HTTP: a hint that did not come."""

    def behave(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(answer)

    server = raw_server(behave)
    with HttpTransport(Server(server.url)) as transport:
        assert transport.wait(Watch(GADGETS, "n", "1", 30)) is None


def test_a_watch_of_a_server_that_is_away_is_none() -> None:
    """At once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert HttpTransport(Server(f"http://127.0.0.1:{port}")).wait(Watch(GADGETS, "n", "1", 30)) is None


def test_the_time_may_be_over_between_two_events(raw_server: Start) -> None:
    """A server that keeps sending bookmarks does not hold us longer."""
    times = iter([0.0, 1.0, 31.0])
    server = raw_server(streaming(b'{"type": "BOOKMARK", "object": {}}\n'))
    transport = HttpTransport(Server(server.url), clock=lambda: next(times))
    assert transport.wait(Watch(GADGETS, "n", "1", 30)) is None


def test_a_stop_wakes_the_watcher(gadgets: Gadgets, transport: HttpTransport) -> None:
    """Another thread ends a watch of the real server that would have lasted ten minutes."""
    target = gadgets.create()
    version = gadgets.get(target)["metadata"]["resourceVersion"]
    stop = Stop()
    watch = Watch(target.resource, gadgets.namespace, version, 600, field_selector=f"metadata.name={target.name}")
    thread = threading.Thread(target=transport.wait, args=(watch, stop))
    thread.start()
    threading.Timer(0.2, stop.set).start()
    thread.join(30)
    assert not thread.is_alive()
    assert transport.wait(watch, stop) is None


def test_a_stream_has_all_events(raw_server: Start) -> None:
    """Bookmarks too, in their order, until the server ends it; an event that is cut off by that is none."""
    requests: list[bytes] = []
    lines = [b'{"type": "BOOKMARK", "object": {"a": 1}}\n', b'{"type": "ADDED", "object": {"a": 2}}\n', b'{"type": "MO']

    def behave(peer: socket.socket) -> None:
        requests.append(read_request(peer))
        peer.sendall(HEAD + b"".join(map(chunk, lines)) + b"0\r\n\r\n")

    server = raw_server(behave)
    events = list(HttpTransport(Server(server.url)).stream(Watch(GADGETS, "n", "7", math.inf)))
    assert events == [WatchEvent("BOOKMARK", {"a": 1}), WatchEvent("ADDED", {"a": 2})]
    assert b"resourceVersion=7" in requests[0]
    assert b"timeoutSeconds" not in requests[0]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            reply(b'{"kind": "Status"}', "403 Forbidden"),
            r"watching /apis/example.com/v1/namespaces/n/gadgets: HTTP 403.*Status",
        ),
        (HEAD + chunk(b"junk\n"), "junk.* is not an event"),
        (HEAD + chunk(b"[1]\n"), "not an event"),
    ],
)
def test_a_stream_that_is_refused_is_an_error(raw_server: Start, answer: bytes, says: str) -> None:
    """It names the request and the answer."""

    def behave(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(answer)

    server = raw_server(behave)
    with pytest.raises(StreamRefusedError, match=says):
        next(HttpTransport(Server(server.url)).stream(Watch(GADGETS, "n", "1", 30)))


def test_a_stream_whose_connection_fails_says_so(raw_server: Start) -> None:
    """Before the answer, or within it: what came whole before has been yielded."""

    def behave(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(HEAD + chunk(b'{"type": "ADDED", "object": {}}\n') + b"ff\r\nx")

    server = raw_server(lambda peer: None, behave)
    transport = HttpTransport(Server(server.url))
    with pytest.raises((OSError, HTTPException)):
        next(transport.stream(Watch(GADGETS, "n", "1", 30)))
    events = transport.stream(Watch(GADGETS, "n", "1", 30))
    assert next(events) == WatchEvent("ADDED", {})
    with pytest.raises((OSError, HTTPException)):
        next(events)


def test_a_stream_ends_when_its_time_is_over(raw_server: Start) -> None:
    """Also while the server says nothing."""
    server = raw_server(streaming(b'{"type": "ADDED", "object": {}}\n'))
    events = HttpTransport(Server(server.url)).stream(Watch(GADGETS, "n", "1", 0.2))
    assert list(events) == [WatchEvent("ADDED", {})]
