"""Consistent, complete lists: page by page, at one resourceVersion, or not at all."""

from __future__ import annotations

from typing import Final

from attr import define, field, frozen

from kubemr.locks.backoff import Backoff
from kubemr.locks.conditional import RequestRefusedError
from kubemr.locks.effects import Answer, Json, Op, Random, Request, Resource, Sleep

PAGE: Final = 500
"""Objects a page: as client-go's pager."""


@frozen
class ListResult:
    """What a list found; `resource_version` is where a watch may begin."""

    items: list[Json]
    resource_version: str


@frozen
class Page:
    """Some objects of a list.  With one that is `first` a list begins: of what came before it nothing counts."""

    items: list[Json]
    first: bool


@define
class Pages:
    """A consistent list (no resourceVersion is given): a quorum read, all pages of one snapshot.

    For those who need little of each object, and not all of them at once.  Only when there is no further page have they
    seen a whole list.  Where the snapshot expires between two pages (410), the list begins again.
    """

    resource: Resource
    namespace: str | None
    label_selector: str
    size: int | None = None
    """How many objects are in memory at once; `PAGE` unless given."""
    resource_version: str = field(default="", init=False)
    """Of the snapshot, from the first page on."""
    _token: str = field(default="", init=False)
    _over: bool = field(default=False, init=False)

    def next(self) -> Op[Page | None]:
        """The next page, or None after the last.  Waits out what is transient.  Raises `RequestRefusedError`."""
        if self._over:
            return None
        backoff = Backoff()
        while True:
            query = {"labelSelector": self.label_selector, "limit": str(self.size or PAGE)}
            if self._token:
                query["continue"] = self._token
            answer: Answer = yield Request("list", self.resource, self.namespace, query=query)
            if answer.ok:
                first = not self._token
                metadata = answer.body.get("metadata") or {}
                self.resource_version = metadata.get("resourceVersion") or ""
                self._token = metadata.get("continue") or ""
                self._over = not self._token
                return Page(answer.body.get("items") or [], first)
            if answer.status == 410 and self._token:
                self._token = ""
            elif answer.definite and answer.status not in (0, 429):
                raise RequestRefusedError(f"listing {self.resource.plural} of {self.label_selector}", answer)
            yield Sleep(backoff.next((yield Random()), answer.retry_after))


def list_all(
    resource: Resource, namespace: str | None, label_selector: str, *, limit: int | None = None
) -> Op[ListResult]:
    """A whole list, as `Pages`: for objects of which there are few.

    With `limit` only that many objects are wanted: one page, no more.  Raises `RequestRefusedError`.
    """
    pages = Pages(resource, namespace, label_selector, limit)
    items: list[Json] = []
    while (page := (yield from pages.next())) is not None:
        if page.first:
            items = []
        items += page.items
        if limit is not None:
            break
    return ListResult(items, pages.resource_version)
