"""A list, page by page.

At which version it may be is said by `resource_version`:

=========  ============================================================================================
""         consistent: what a quorum of etcd says now.  The only list that cannot be older than anything seen
"0"        whatever the apiserver has in its cache: cheap, but perhaps old.  For the very first list
other      from the cache, but not older than this
=========  ============================================================================================

The cache may ignore `limit` and answer with everything; pages are followed as long as there is a `continue` token,
whatever was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from kubemr.controller.client.client import Client
from kubemr.controller.informer.object_keys import Object
from kubemr.locks.effects import Answer, Request, Resource

PAGE_SECONDS = 60.0
"""The timeout of one request; the apiserver gives up after as long."""


@frozen
class ListResult:
    """All objects, and the version from which to watch."""

    items: list[Object]
    resource_version: str


class ListRefusedError(Exception):
    """A page was not given."""

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
    """All objects at one version, each transformed as soon as its page is there.

    When the snapshot expires between two pages (410 for the `continue` token), what was gathered is thrown away and
    everything is asked for once more in one consistent piece.  Any other failure, and a 410 for the first page, raises
    `ListRefusedError`.
    """
    version: dict[str, str] = {}
    if resource_version:
        version["resourceVersion"] = resource_version
        if resource_version != "0":
            # With a limit, and without this word, the server would take it as "exactly at this version".
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
    """The items with apiVersion and kind, which lists of built-in types leave out."""
    items: list[Object] = body.get("items") or []
    kind = str(body.get("kind") or "").removesuffix("List")
    for item in items:
        item.setdefault("apiVersion", body.get("apiVersion"))
        item.setdefault("kind", kind)
    return items
