"""An embedded apiserver for unit tests: virtual clock, counted uids and suffixes, and short ways to ask."""

from __future__ import annotations

import itertools
from typing import Any

from kubemr.local.apiserver.core import ApiServer
from kubemr.locks.effects import JSON_PATCH, MERGE_PATCH, Answer, Request, Resource

CONFIG_MAPS = Resource("", "v1", "configmaps")
JOBS = Resource("batch", "v1", "jobs")
PODS = Resource("", "v1", "pods")
NAMESPACES = Resource("", "v1", "namespaces", False)


class Embedded:
    """A core whose time stands still and whose names are counted."""

    def __init__(self, **more: Any) -> None:
        uids, suffixes = itertools.count(1), itertools.count(1)
        self.core = ApiServer(
            clock=lambda: 1_000_000_000.0,
            uids=lambda: f"uid-{next(uids)}",
            suffixes=lambda: f"{next(suffixes):05d}",
            **more,
        )

    def create(self, name: str, resource: Resource = CONFIG_MAPS, **more: Any) -> Any:
        """A new object in `default`; its stored document."""
        metadata = {"name": name, **more.pop("metadata", {})}
        return self._ok(Request("create", resource, "default", body={"metadata": metadata, **more}))

    def patch(self, name: str, *operations: Any, resource: Resource = CONFIG_MAPS) -> Answer:
        """A JSON Patch."""
        return self.core.handle(
            Request("patch", resource, "default", name, body=list(operations), content_type=JSON_PATCH)
        )

    def merge(self, name: str, body: Any, resource: Resource = CONFIG_MAPS) -> Answer:
        """A merge patch."""
        return self.core.handle(Request("patch", resource, "default", name, body=body, content_type=MERGE_PATCH))

    def delete(self, name: str, resource: Resource = CONFIG_MAPS, **options: Any) -> Answer:
        """A delete with options."""
        return self.core.handle(Request("delete", resource, "default", name, body=options or None))

    def get(self, name: str, resource: Resource = CONFIG_MAPS) -> Answer:
        """A read."""
        return self.core.handle(Request("get", resource, "default", name))

    def names(self, resource: Resource = CONFIG_MAPS, **query: str) -> list[str]:
        """The names that a list holds."""
        body = self._ok(Request("list", resource, "default", query=query))
        return [item["metadata"]["name"] for item in body["items"]]

    def _ok(self, request: Request) -> Any:
        answer = self.core.handle(request)
        assert answer.ok, answer
        return answer.body
