"""One exchange: what is sent, what is said of the answer, and what is certain when there is none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kubemr.locks import ConfigError, HttpTransport, Request, Resource, Server
from kubemr.locks.effects import JSON_PATCH, UNKNOWN
from support.rawserver import RawServer, read_request, reply, serving, until_client_leaves

PODS = Resource("", "v1", "pods")
GET = Request("get", PODS, "default", "p")
PATCH = Request("patch", PODS, "default", "p", body=[{"op": "test", "path": "/a", "value": 1}], content_type=JSON_PATCH)

Start = Callable[..., RawServer]


def test_a_request_as_it_goes_over_the_wire(raw_server: Start) -> None:
    """Method, escaped path with the server's prefix, query, headers and body."""
    seen: list[bytes] = []

    def behave(peer: socket.socket) -> None:
        seen.append(read_request(peer))
        peer.sendall(reply(b'{"kind": "Pod"}'))

    server = raw_server(behave)
    request = Request(
        "patch", PODS, "default", "a b", "status", {"fieldManager": "kubemr"}, [{"op": "x"}], content_type=JSON_PATCH
    )
    with HttpTransport(Server(server.url + "/prefix/", token="secret")) as transport:
        answer = transport.send(request)
    assert (answer.status, answer.body) == (200, {"kind": "Pod"})
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"PATCH /prefix/api/v1/namespaces/default/pods/a%20b/status?fieldManager=kubemr HTTP/1.1"
    assert b"Authorization: Bearer secret" in lines
    assert b"Content-Type: application/json-patch+json" in lines
    assert b"Accept: application/json" in lines
    assert b"User-Agent: kubemr" in lines
    assert body == b'[{"op":"x"}]'


def test_the_user_agent_can_be_chosen(raw_server: Start) -> None:
    """For programs other than kubemr."""
    seen: list[bytes] = []

    def behave(peer: socket.socket) -> None:
        seen.append(read_request(peer))
        peer.sendall(reply())

    with HttpTransport(Server(raw_server(behave).url, user_agent="press/2")) as transport:
        assert transport.send(GET).ok
    assert seen[0].lower().count(b"user-agent:") == 1
    assert b"\r\nUser-Agent: press/2\r\n" in seen[0]


def test_connections_are_kept(raw_server: Start) -> None:
    """Several requests of one thread use one connection."""
    server = raw_server(serving(reply(), reply(), reply()))
    with HttpTransport(Server(server.url)) as transport:
        for _ in range(3):
            assert transport.send(PATCH).ok
    assert server.connections == 1


def test_every_thread_has_its_own_and_ended_threads_leave_none(raw_server: Start) -> None:
    """A connection of a thread that ended is closed when another one is made."""
    gone = threading.Event()

    def first(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(reply())
        until_client_leaves(peer)
        gone.set()

    server = raw_server(first, serving(reply()))
    with HttpTransport(Server(server.url)) as transport:
        thread = threading.Thread(target=transport.send, args=(GET,))
        thread.start()
        thread.join()
        assert transport.send(GET).ok
        assert gone.wait(10)
    assert server.connections == 2


def test_a_connection_that_the_server_announced_to_close_is_not_kept(raw_server: Start) -> None:
    """`Connection: close` is heeded."""
    server = raw_server(serving(reply(b"{}", "200 OK", "Connection: close")), serving(reply()))
    with HttpTransport(Server(server.url)) as transport:
        assert transport.send(PATCH).ok
        assert transport.send(PATCH).ok


def test_a_closed_connection_is_noticed_before_a_write_is_sent(raw_server: Start) -> None:
    """The write goes over a new connection: nothing was sent on the old one."""
    closed = threading.Event()

    def closes(peer: socket.socket) -> None:
        serving(reply())(peer)
        peer.shutdown(socket.SHUT_RDWR)
        closed.set()

    server = raw_server(closes, serving(reply(b'{"second": true}')))
    with HttpTransport(Server(server.url)) as transport:
        assert transport.send(PATCH).ok
        assert closed.wait(10)
        assert transport.send(PATCH).body == {"second": True}


def drops_second(peer: socket.socket) -> None:
    """Answer one request; read the second and hang up."""
    serving(reply())(peer)
    read_request(peer)


def test_a_write_whose_kept_connection_breaks_is_unknown(raw_server: Start) -> None:
    """It may have been carried out, so it is not sent again."""
    server = raw_server(drops_second, serving(reply()))
    with HttpTransport(Server(server.url)) as transport:
        transport.send(PATCH)
        answer = transport.send(PATCH)
        assert (answer.status, answer.sent, answer.definite) == (UNKNOWN, True, False)
        assert "waiting for the answer" in answer.error
        assert server.url in answer.error
    assert server.connections == 1


def test_a_read_whose_kept_connection_breaks_is_sent_once_more(raw_server: Start) -> None:
    """On a new connection, once."""
    server = raw_server(drops_second, serving(reply(b'{"second": true}')))
    with HttpTransport(Server(server.url)) as transport:
        transport.send(GET)
        assert transport.send(GET).body == {"second": True}


def test_a_read_on_a_fresh_connection_is_not_repeated(raw_server: Start) -> None:
    """A new connection that breaks is an unknown outcome, which the caller must resolve."""

    def hangs_up(peer: socket.socket) -> None:
        read_request(peer)

    server = raw_server(hangs_up)
    with HttpTransport(Server(server.url)) as transport:
        assert transport.send(GET).status == UNKNOWN
    assert server.connections == 1


def test_a_refused_connection_was_certainly_not_sent() -> None:
    """No server listens: the request was certainly not sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with HttpTransport(Server(f"http://127.0.0.1:{port}")) as transport:
        answer = transport.send(PATCH)
    assert (answer.status, answer.sent, answer.definite) == (UNKNOWN, False, True)
    assert "connecting" in answer.error


def test_a_name_without_address_was_certainly_not_sent() -> None:
    """The name cannot be resolved."""
    with HttpTransport(Server("http://name.invalid:1")) as transport:
        assert transport.send(PATCH).sent is False


def test_a_failed_handshake_was_certainly_not_sent(raw_server: Start) -> None:
    """TLS with a server that does not speak it."""
    server = raw_server(lambda peer: peer.sendall(b"this is not TLS, sorry\r\n\r\n"))
    with HttpTransport(Server(server.url.replace("http", "https"))) as transport:
        answer = transport.send(PATCH)
    assert (answer.status, answer.sent) == (UNKNOWN, False)
    assert "SSL" in answer.error


def test_a_request_that_could_not_be_handed_over_whole_was_certainly_not_carried_out(raw_server: Start) -> None:
    """The server hangs up in the middle of a large body, and no complete request ever existed."""

    def hangs_up(peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        peer.recv(100)

    server = raw_server(hangs_up)
    large = Request("create", PODS, "default", body={"data": "x" * 30_000_000})
    with HttpTransport(Server(server.url)) as transport:
        answer = transport.send(large)
    assert (answer.status, answer.sent) == (UNKNOWN, False)
    assert "sending" in answer.error


def test_a_server_that_hangs_up_with_a_reason_is_heard(raw_server: Start) -> None:
    """Too large, it says, and reads no further: that is definite, and sending it again would not help."""

    def hangs_up(peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        peer.recv(100)
        peer.sendall(reply(b'{"kind": "Status", "reason": "RequestEntityTooLarge"}', "413 Too Large"))

    server = raw_server(hangs_up)
    large = Request("create", PODS, "default", body={"data": "x" * 30_000_000})
    with HttpTransport(Server(server.url)) as transport:
        answer = transport.send(large)
    assert (answer.status, answer.reason, answer.definite) == (413, "RequestEntityTooLarge", True)


def test_an_answer_that_does_not_come_in_time_is_unknown(raw_server: Start) -> None:
    """The request's own timeout counts; the connection is not used again."""
    server = raw_server(until_client_leaves, serving(reply()))
    slow = Request("patch", PODS, "default", "p", body=[], timeout=0.05)
    with HttpTransport(Server(server.url)) as transport:
        answer = transport.send(slow)
        assert (answer.status, answer.sent) == (UNKNOWN, True)
        assert "TimeoutError" in answer.error
        assert transport.send(PATCH).ok


def test_an_answer_that_breaks_off_is_unknown(raw_server: Start) -> None:
    """The status alone is not enough: what was written is in the body."""
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    server = raw_server(serving(cut))
    with HttpTransport(Server(server.url)) as transport:
        answer = transport.send(PATCH)
    assert (answer.status, answer.sent) == (UNKNOWN, True)
    assert "reading the answer" in answer.error


def test_something_that_is_not_http_is_unknown(raw_server: Start) -> None:
    """Whatever it was that answered."""
    server = raw_server(serving(b"hello\r\n"))
    with HttpTransport(Server(server.url)) as transport:
        assert transport.send(PATCH).status == UNKNOWN


@pytest.mark.parametrize(("header", "seconds"), [("3", 3.0), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", None)])
def test_retry_after(raw_server: Start, header: str, seconds: float | None) -> None:
    """Seconds are understood; dates would need a common clock."""
    status = b'{"kind": "Status", "reason": "TooManyRequests", "message": "later"}'
    server = raw_server(serving(reply(status, "429 Too Many Requests", f"Retry-After: {header}")))
    with HttpTransport(Server(server.url)) as transport:
        answer = transport.send(PATCH)
    assert (answer.status, answer.retry_after, answer.reason) == (429, seconds, "TooManyRequests")
    assert answer.definite


def test_a_proxys_page_is_quoted(raw_server: Start) -> None:
    """An error without JSON keeps its text; a success without JSON did not come from an apiserver."""
    server = raw_server(serving(reply(b"<h1>Bad gateway</h1>", "502 Bad Gateway"), reply(b"<h1>Log in</h1>")))
    with HttpTransport(Server(server.url)) as transport:
        assert transport.send(PATCH).message == "<h1>Bad gateway</h1>"
        answer = transport.send(PATCH)
    assert (answer.status, answer.sent) == (UNKNOWN, True)
    assert "Log in" in answer.error


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """Before any request."""
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    with pytest.raises(ConfigError, match=r"authority file .*junk.pem"):
        HttpTransport(Server("https://h", ca_file=junk))
    with pytest.raises(ConfigError, match=r"client certificate .*junk.pem"):
        HttpTransport(Server("https://h", cert_file=junk, key_file=junk))
    with pytest.raises(ConfigError, match=r"token file .*none"):
        HttpTransport(Server("https://h", token_file=tmp_path / "none"))
    with pytest.raises(ConfigError, match="99999"):
        HttpTransport(Server("http://h:99999"))


def test_a_closed_transport_connects_anew(raw_server: Start) -> None:
    """Closing is not for ever."""
    server = raw_server(serving(reply()), serving(reply()))
    transport = HttpTransport(Server(server.url))
    assert transport.send(PATCH).ok
    transport.close()
    assert transport.send(PATCH).ok
    transport.close()
    assert server.connections == 2
