"""`Client.send`: every outcome is an `Answer`."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys

import pytest

from kubemr.controller.client import Client, PlainConnection
from kubemr.locks.effects import JSON_PATCH, UNKNOWN, Request, Resource
from support.fakeserver import Exchange, FakeServer, refuse, reply

PODS = Resource("", "v1", "pods")
SHARDS = Resource("turbobytes.com", "v1alpha1", "mapreducetaskshards")


async def test_the_request_on_the_wire(server: FakeServer, client: Client) -> None:
    """Method, path, query, headers and body are those of the effect."""
    server.expect(reply({"kind": "MapReduceTaskShard"}))
    patch = [{"op": "test", "path": "/a", "value": "ä/b"}]
    answer = await client.send(
        Request("patch", SHARDS, "ns", "x-0", query={"fieldManager": "kube mr"}, body=patch, content_type=JSON_PATCH)
    )
    assert (answer.status, answer.body, answer.ok) == (200, {"kind": "MapReduceTaskShard"}, True)
    [request] = server.requests
    assert request.method == "PATCH"
    assert request.path == "/apis/turbobytes.com/v1alpha1/namespaces/ns/mapreducetaskshards/x-0"
    assert request.query == {"fieldManager": "kube mr"}
    assert request.headers["content-type"] == JSON_PATCH
    assert request.headers["authorization"] == "Bearer sesame"
    assert json.loads(request.body) == patch


@pytest.mark.parametrize(
    ("verb", "method"),
    [("get", "GET"), ("list", "GET"), ("create", "POST"), ("replace", "PUT"), ("patch", "PATCH"), ("delete", "DELETE")],
)
async def test_verbs(server: FakeServer, client: Client, verb: str, method: str) -> None:
    """Each verb's method; without a body no content type is sent."""
    server.expect(reply({}))
    await client.send(Request(verb, PODS, "ns"))  # type: ignore[arg-type] # a Literal, parametrized
    assert server.requests[0].method == method
    assert "content-type" not in server.requests[0].headers


async def test_a_refusal_is_an_answer(server: FakeServer, client: Client) -> None:
    """A 409 is not raised; its reason and message are at hand."""
    server.expect(refuse(409, "AlreadyExists", 'pods "a" already exists'))
    answer = await client.send(Request("create", PODS, "ns", body={}))
    assert (answer.status, answer.reason, answer.message) == (409, "AlreadyExists", 'pods "a" already exists')
    assert answer.definite


async def test_redirects_are_not_followed(server: FakeServer, client: Client) -> None:
    """A write must not be sent a second time to wherever the answer points."""
    server.expect(reply({}, 307, {"Location": server.url + "/elsewhere"}))
    assert (await client.send(Request("patch", PODS, "ns", "a", body=[]))).status == 307
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:10 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 10.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:27:00 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:10 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
async def test_retry_after(server: FakeServer, client: Client, headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, or a date relative to the answer's own Date."""
    server.expect(refuse(429, "TooManyRequests", headers=headers))
    answer = await client.send(Request("get", PODS, "ns", "a"))
    assert (answer.status, answer.retry_after) == (429, seconds)


async def test_no_answer_in_time_is_unknown(server: FakeServer, client: Client) -> None:
    """After 30 s, or the request's own timeout, the outcome is unknown: it may have been carried out."""
    loop = asyncio.get_running_loop()
    for timeout, seconds in [(None, 30), (5.0, 5)]:
        start = loop.time()
        answer = await client.send(Request("patch", PODS, "ns", "a", body=[], timeout=timeout))
        assert loop.time() - start == seconds
        assert (answer.status, answer.sent, answer.definite) == (UNKNOWN, True, False)
        assert "timed out" in answer.error


async def test_a_body_that_never_ends_is_unknown(server: FakeServer, client: Client) -> None:
    """The timeout is for the whole exchange, not for its head."""

    async def half(exchange: Exchange) -> None:
        await exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await exchange.hold()

    server.expect(half)
    answer = await client.send(Request("get", PODS, "ns", "a"))
    assert (answer.status, answer.sent) == (UNKNOWN, True)


async def test_a_lost_connection_is_unknown_and_not_repeated(server: FakeServer, client: Client) -> None:
    """Not even a PUT or DELETE on a reused connection is sent again by the HTTP library."""

    async def cut(exchange: Exchange) -> None:
        exchange.cut()

    server.expect(reply({}), cut, reply({}), cut)
    for _ in range(2):
        assert (await client.send(Request("get", PODS, "ns", "a"))).ok
        answer = await client.send(Request("delete", PODS, "ns", "a"))
        assert (answer.status, answer.sent) == (UNKNOWN, True)
        assert answer.error
    assert len(server.requests) == 4


async def test_a_refused_connection_was_never_sent(server: FakeServer, client: Client) -> None:
    """Nothing listens: nothing can have been written."""
    await server.stop()
    answer = await client.send(Request("patch", PODS, "ns", "a", body=[]))
    assert (answer.status, answer.sent, answer.definite) == (UNKNOWN, False, True)
    assert str(server.port) in answer.error


async def test_an_unknown_host_was_never_sent() -> None:
    """DNS does not know it (RFC 6761: `.invalid` never exists)."""
    async with Client(PlainConnection("http://apiserver.invalid:1")) as client:
        answer = await client.send(Request("patch", PODS, "ns", "a", body=[]))
    assert (answer.status, answer.sent) == (UNKNOWN, False)


async def test_a_failed_tls_handshake_was_never_sent(server: FakeServer) -> None:
    """https to a port that speaks plain http."""
    async with Client(PlainConnection(f"https://127.0.0.1:{server.port}")) as client:
        answer = await client.send(Request("patch", PODS, "ns", "a", body=[]))
    assert (answer.status, answer.sent) == (UNKNOWN, False)
    assert server.requests == []


async def test_a_connection_that_is_not_made_in_10_s_was_never_sent() -> None:
    """A listener whose queue is full lets the handshake hang."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(2)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        async with Client(PlainConnection(f"http://127.0.0.1:{address[1]}")) as client:
            start = asyncio.get_running_loop().time()
            answer = await client.send(Request("patch", PODS, "ns", "a", body=[]))
        for filler in fillers:
            filler.close()
    assert (answer.status, answer.sent) == (UNKNOWN, False)
    assert asyncio.get_running_loop().time() - start == pytest.approx(10, abs=1)


async def test_a_success_that_is_not_json_is_unknown(server: FakeServer, client: Client) -> None:
    """Another server than the apiserver answered; a refusal in plain text stays a refusal."""
    server.expect(
        lambda exchange: exchange.text("<html>welcome</html>"),
        lambda exchange: exchange.text("upstream down", 502),
        lambda exchange: exchange.text(""),
    )
    answer = await client.send(Request("get", PODS, "ns", "a"))
    assert (answer.status, answer.sent) == (UNKNOWN, True)
    assert "welcome" in answer.message
    answer = await client.send(Request("get", PODS, "ns", "a"))
    assert answer.status == 502
    assert "upstream down" in answer.message
    answer = await client.send(Request("get", PODS, "ns", "a"))
    assert (answer.status, answer.body) == (200, None)


async def test_cancellation_goes_through(server: FakeServer, client: Client) -> None:
    """A cancelled `send` is cancelled; it is no answer."""
    task = asyncio.create_task(client.send(Request("get", PODS, "ns", "a")))
    await server.wait_for(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://host", "http://"])
def test_a_url_that_is_none(url: str) -> None:
    """The error names the value and the form."""
    with pytest.raises(ValueError, match="http"):
        PlainConnection(url)


async def test_closing_twice(server: FakeServer) -> None:
    """A client that was never used, or is closed already, closes quietly."""
    client = Client(PlainConnection(server.url))
    await client.close()
    server.expect(refuse(401))
    assert (await client.send(Request("get", PODS, "ns", "a"))).status == 401
    assert "authorization" not in server.requests[0].headers
    await client.close()
    await client.close()


def test_import_does_not_load_kubernetes() -> None:
    """Local mode pays for aiohttp only."""
    code = "import sys, kubemr.controller.client; sys.exit('kubernetes' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
