"""List objects page by page.

`resource_version` says at which version the list may be:

=========  ==============================================================================================
""         consistent: what a quorum of etcd has now.  Only this list cannot be older than any seen before
"0"        what the apiserver has in its cache: cheap, but perhaps old.  For the very first list
other      from the cache, but not older than this
=========  ==============================================================================================

The cache may ignore `limit` and return everything in one page.
Pages are followed as long as there is a `continue` token, whatever the request asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from kubemr.controller.client.client import Client
from kubemr.controller.informer.object_keys import Object
from kubemr.locks.effects import Answer, Request, Resource

PAGE_SECONDS = 60.0
"""The timeout of one request; the apiserver's own timeout is as long."""


@frozen
class ListResult:
    """All objects, and the version at which a watch must start."""

    items: list[Object]
    resource_version: str


class ListRefusedError(Exception):
    """The server refused a page of a list."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"list refused: {answer.status} {answer.message}")
        self.answer = answer


async def list_objects(
    client: Client,
    resource: Resource,
    namespace: str | None,
    selectors: Mapping[str, str],
    resource_version: str,
    page_size: int,
    transform: Callable[[Object], Object],
) -> ListResult:
    """Return all objects at one version, each transformed as soon as its page has arrived.

    If the snapshot expires between two pages (410 for the `continue` token), discard the pages read so far.
    Then request everything again in one consistent list.
    Any other failure, and a 410 for the first page, raises `ListRefusedError`.
    """
    version: dict[str, str] = {}
    if resource_version:
        version["resourceVersion"] = resource_version
        if resource_version != "0":
            # With a limit, and without this parameter, the server would understand "exactly at this version".
            version["resourceVersionMatch"] = "NotOlderThan"
    query = {**selectors, "limit": str(page_size), **version}
    items: list[Object] = []
    while True:
        answer = await client.send(Request("list", resource, namespace, query=query, timeout=PAGE_SECONDS))
        if answer.status == 410 and "continue" in query:
            items, query = [], dict(selectors)
            continue
        if not answer.ok:
            raise ListRefusedError(answer)
        body = answer.body
        items += map(transform, _items(body))
        token = body["metadata"].get("continue")
        if not token:
            return ListResult(items, str(body["metadata"]["resourceVersion"]))
        query = {**selectors, "limit": str(page_size), "continue": token}


def _items(body: Object) -> list[Object]:
    """Return the items with apiVersion and kind, which lists of built-in types omit."""
    items: list[Object] = body.get("items") or []
    kind = str(body.get("kind") or "").removesuffix("List")
    for item in items:
        item.setdefault("apiVersion", body.get("apiVersion"))
        item.setdefault("kind", kind)
    return items
