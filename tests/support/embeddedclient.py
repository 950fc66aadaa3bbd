"""A client of an embedded apiserver, for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from kubemr.local.apiserver.http import HttpServer
from kubemr.local.list_watch import Listed, follow
from kubemr.locks.config import Server
from kubemr.locks.effects import Request, Resource
from kubemr.locks.http import HttpTransport
from kubemr.locks.threads import Stop
from support.workerharness import PATIENCE


class Api:
    """A client of a server, for tests."""

    def __init__(self, http: HttpServer) -> None:
        self.http = http
        self.server = Server(http.url, token=http.token)
        self.transport = HttpTransport(self.server)

    def send(self, verb: Any, resource: Resource, name: str | None = None, body: Any = None, **more: Any) -> Any:
        """The body of a request that succeeds."""
        answer = self.transport.send(Request(verb, resource, "default", name, body=body, **more))
        assert answer.ok, answer.message
        return answer.body

    def until(self, resource: Resource, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until that holds of all objects of a kind, by name; gives them."""
        there: dict[str, Any] = {}
        stop = Stop()
        timer = threading.Timer(PATIENCE, stop.set)
        timer.start()
        try:
            for event in follow(self.server, resource, "default", stop):
                if isinstance(event, Listed):
                    there = {item["metadata"]["name"]: item for item in event.items}
                elif event.type == "DELETED":
                    there.pop(event.object["metadata"]["name"])
                else:
                    there[event.object["metadata"]["name"]] = event.object
                if holds(there):
                    return there
        finally:
            timer.cancel()
        raise AssertionError(f"did not come to hold in {PATIENCE} s: {there}")
