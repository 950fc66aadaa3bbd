"""Follow a collection of the apiserver: all objects first, then every change.

`follow` lists, watches from the list's version on, resumes when a watch ends, and lists again when the server has
forgotten that version.  It is for threads, and for a server on the same machine: if the connection fails, it retries
soon, until `stop` is set.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import closing
from http.client import HTTPException
from typing import Final

from attrs import frozen

from kubemr.locks.config import Server
from kubemr.locks.effects import UNKNOWN, Json, Request, Resource, Watch
from kubemr.locks.errors import StreamRefusedError
from kubemr.locks.http import HttpTransport
from kubemr.locks.threads import Stop

RETRY_SECONDS: Final = 0.2
GONE: Final = 410


@frozen
class Listed:
    """All present objects; a known object that is not among them was deleted."""

    items: Sequence[Json]


@frozen
class Changed:
    """A change: `type` is ADDED, MODIFIED or DELETED."""

    type: str
    object: Json


def follow(
    server: Server,
    resource: Resource,
    namespace: str | None,
    stop: Stop,
    *,
    label_selector: str = "",
    field_selector: str = "",
) -> Generator[Listed | Changed, None, None]:
    """Yield the present objects, then the changes, until `stop` is set.  Raises `StreamRefusedError`."""
    selector = {"labelSelector": label_selector, "fieldSelector": field_selector}
    list_request = Request("list", resource, namespace, query={key: value for key, value in selector.items() if value})
    version: str | None = None
    transport = HttpTransport(server)
    while not stop.is_set():
        try:
            if version is None:
                listed = _list(transport, list_request)
                version = listed["metadata"]["resourceVersion"]
                yield Listed(listed["items"])
            watch = Watch(resource, namespace or "", version, math.inf, label_selector, field_selector)
            with closing(transport.stream(watch, stop)) as events:
                for event in events:
                    if event.type == "ERROR":
                        if event.object.get("code") != GONE:
                            raise StreamRefusedError(f"watching {list_request.path}: {event.object.get('message')}")
                        version = None
                        break
                    version = event.object["metadata"]["resourceVersion"]
                    if event.type != "BOOKMARK":
                        yield Changed(event.type, event.object)
        except (OSError, HTTPException):
            stop.wait(RETRY_SECONDS)


def _list(transport: HttpTransport, list_request: Request) -> Json:
    with transport:  # close the connection: the next list, if any, is much later
        answer = transport.send(list_request)
    if answer.status == UNKNOWN:
        raise ConnectionError(answer.error)
    if not answer.ok:
        raise StreamRefusedError(f"listing {list_request.path}: HTTP {answer.status}: {answer.message}")
    return answer.body
