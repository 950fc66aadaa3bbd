"""Follow a collection of the apiserver: all objects first, then every change as it comes.

`follow` lists, watches from the list's version on, resumes where a watch ended, and lists again when the server has
forgotten that version.  It is for threads, and for a server on the same machine: where the connection fails it tries
again soon, until it is told to stop.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Generator, Iterator, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlencode, urlsplit

from attrs import frozen

from kubemr.locks.config import Server
from kubemr.locks.effects import Json, Resource
from kubemr.locks.threads import Stop

RETRY_SECONDS: Final = 0.2
GONE: Final = 410


class StreamRefused(Exception):
    """The apiserver refuses the list or the watch itself: to ask again would change nothing."""


@frozen
class Listed:
    """Everything there is; what was known before and is not in it was deleted."""

    items: Sequence[Json]


@frozen
class Changed:
    """One change: `type` is ADDED, MODIFIED or DELETED."""

    type: str
    object: Json


@frozen
class _Collection:
    server: Server
    path: str
    selector: dict[str, str]


def follow(
    server: Server,
    resource: Resource,
    namespace: str | None,
    stop: Stop,
    *,
    label_selector: str = "",
    field_selector: str = "",
) -> Generator[Listed | Changed, None, None]:
    """Yield what is there and what changes, until `stop` is set.  Raises `StreamRefused`."""
    selector = {"labelSelector": label_selector, "fieldSelector": field_selector}
    collection = _Collection(server, resource.path(namespace), {key: value for key, value in selector.items() if value})
    version: str | None = None
    while not stop.is_set():
        try:
            if version is None:
                listed = _list(collection)
                version = listed["metadata"]["resourceVersion"]
                yield Listed(listed["items"])
            for event in _watch(collection, version, stop):
                if event["type"] == "ERROR":
                    if event["object"].get("code") != GONE:
                        raise StreamRefused(f"watching {collection.path}: {event['object'].get('message')}")
                    version = None
                    break
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield Changed(event["type"], event["object"])
        except (OSError, HTTPException):
            stop.wait(RETRY_SECONDS)


def _list(collection: _Collection) -> Json:
    connection = _connect(collection.server, collection.server.read_timeout)
    try:
        connection.request("GET", _url(collection, {}), headers=_headers(collection.server))
        response = connection.getresponse()
        body = response.read()
        if response.status >= 400:
            raise StreamRefused(f"listing {collection.path}: HTTP {response.status}: {body[:300]!r}")
        return json.loads(body)
    finally:
        connection.close()


def _watch(collection: _Collection, version: str, stop: Stop) -> Iterator[Json]:
    connection = _connect(collection.server, None)
    try:
        connection.connect()
        peer = connection.sock
        with stop.calling(lambda: _wake(peer)):
            query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version}
            connection.request("GET", _url(collection, query), headers=_headers(collection.server))
            response = connection.getresponse()
            if response.status >= 400:
                raise StreamRefused(f"watching {collection.path}: HTTP {response.status}: {response.read()[:300]!r}")
            while not stop.is_set() and (line := response.readline()).endswith(b"\n"):
                yield json.loads(line)
    finally:
        connection.close()


def _connect(server: Server, timeout: float | None) -> HTTPConnection:
    url = urlsplit(server.url)
    return HTTPConnection(url.hostname or "", url.port, timeout=timeout)


def _url(collection: _Collection, query: dict[str, str]) -> str:
    parameters = urlencode({**collection.selector, **query})
    return f"{collection.path}?{parameters}" if parameters else collection.path


def _headers(server: Server) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token}"} if server.token else {}


def _wake(peer: socket.socket) -> None:
    try:
        peer.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already
