"""The HTTP server: token, keep-alive, bodies, streams, and shutdown."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator

import pytest

from kubemr.local.apiserver.http import HttpServer
from kubemr.local.apiserver.kubemr_server import kubemr_server

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """A server in a thread."""
    front = HttpServer(kubemr_server(), token="secret")
    front.start()
    yield front
    front.stop()


@pytest.fixture
def connection(server: HttpServer) -> Iterator[http.client.HTTPConnection]:
    """A client's connection."""
    opened = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield opened
    opened.close()


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: object = None,
    token: str = "secret",
    **headers: str,
) -> tuple[int, bytes]:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, data, {"Authorization": f"Bearer {token}", **headers})
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_the_token_is_required(server: HttpServer, connection: http.client.HTTPConnection) -> None:
    """Another token is a 401; the right one passes, in the header or in kubectl's path."""
    assert _ask(connection, "GET", MAPS, token="wrong")[0] == 401
    assert _ask(connection, "GET", MAPS)[0] == 200
    assert server.kubectl_url.endswith("/token/secret")
    assert _ask(connection, "GET", "/token/secret" + MAPS, token="none")[0] == 200
    assert _ask(connection, "GET", "/token/wrong" + MAPS, token="secret")[0] == 401


def test_it_listens_on_loopback_only(server: HttpServer) -> None:
    """Its address is 127.0.0.1."""
    assert server.url == f"http://127.0.0.1:{server.port}"


def test_requests_share_a_connection(connection: http.client.HTTPConnection) -> None:
    """A connection stays open after an answer, also after an error."""
    _ask(connection, "GET", MAPS)
    kept = connection.sock
    _ask(connection, "GET", MAPS + "/none")
    assert connection.sock is kept


def test_a_body_may_come_in_chunks(connection: http.client.HTTPConnection) -> None:
    """Transfer-Encoding: chunked is read like any other."""
    parts = iter([b'{"metadata":', b'{"name":"a"}}'])
    headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
    connection.request("POST", MAPS, parts, headers, encode_chunked=True)
    assert connection.getresponse().status == 201


def test_a_request_may_come_in_pieces(server: HttpServer) -> None:
    """Bytes that arrive one by one make one request."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        for byte in b"GET /healthz HTTP/1.1\r\nAuthorization: Bearer secret\r\nConnection: close\r\n\r\n":
            raw.sendall(bytes([byte]))
        text = b"".join(iter(lambda: raw.recv(4096), b""))
    assert text.startswith(b"HTTP/1.1 200 OK\r\n")
    assert text.endswith(b"\r\n\r\nok")


def test_what_is_no_http_is_answered_and_closed(server: HttpServer) -> None:
    """A 400, then the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(b"nonsense\r\n\r\n")
        text = b"".join(iter(lambda: raw.recv(4096), b""))
    assert text.startswith(b"HTTP/1.1 400 ")


def test_a_watch_streams_while_others_write(server: HttpServer, connection: http.client.HTTPConnection) -> None:
    """An event arrives as soon as the write is answered; the connection can be used after the watch has ended."""
    watcher = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    watcher.request("GET", MAPS + "?watch=1&timeoutSeconds=1", headers={"Authorization": "Bearer secret"})
    stream = watcher.getresponse()
    _ask(connection, "POST", MAPS, {"metadata": {"name": "a"}}, **{"Content-Type": "application/json"})
    event = json.loads(stream.readline())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
    assert stream.read() == b""
    assert _ask(watcher, "GET", MAPS)[0] == 200
    watcher.close()


def test_deleting_an_owner_removes_its_dependents(connection: http.client.HTTPConnection) -> None:
    """The HTTP server runs the garbage collector by itself."""
    made = json.loads(_ask(connection, "POST", MAPS, {"metadata": {"name": "a"}})[1])
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": made["metadata"]["uid"]}
    _ask(connection, "POST", MAPS, {"metadata": {"name": "b", "ownerReferences": [owner]}})
    assert _ask(connection, "DELETE", MAPS + "/a")[0] == 200
    assert _ask(connection, "GET", MAPS + "/b")[0] == 404


def test_stopping_ends_watches(server: HttpServer) -> None:
    """A client that waits on a stream sees it end."""
    watcher = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    watcher.request("GET", MAPS + "?watch=1", headers={"Authorization": "Bearer secret"})
    stream = watcher.getresponse()
    server.stop()
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        stream.read()
    watcher.close()


def test_kubectl_columns(connection: http.client.HTTPConnection) -> None:
    """A job is printed with the columns of its definition."""
    job = {
        "apiVersion": "turbobytes.com/v1alpha1",
        "kind": "MapReduceJob",
        "metadata": {"name": "a"},
        "spec": {"image": "i", "replicas": 2, "inputs": ["x"]},
    }
    path = "/apis/turbobytes.com/v1alpha1/namespaces/default/mapreducejobs"
    assert _ask(connection, "POST", path, job)[0] == 201
    table = json.loads(_ask(connection, "GET", path, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")[1])
    names = [column["name"].upper() for column in table["columnDefinitions"] if column["priority"] == 0]
    assert names == ["NAME", "PHASE", "STAGE", "PROGRESS", "REPLICAS", "AGE"]
    assert table["rows"][0]["cells"][4] == 2
