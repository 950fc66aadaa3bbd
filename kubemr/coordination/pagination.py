"""Consistent, complete lists, page by page, at one resourceVersion."""

from __future__ import annotations

from typing import Final

from attr import define, field, frozen

from kubemr.locks.backoff import Backoff
from kubemr.locks.conditional import RequestRefusedError
from kubemr.locks.effects import Answer, Json, Op, Random, Request, Resource, Sleep

PAGE: Final = 500
"""The number of objects per page, as in client-go's pager."""


@frozen
class ListResult:
    """The objects of a list; a watch may begin at `resource_version`."""

    items: list[Json]
    resource_version: str


@frozen
class Page:
    """Some objects of a list.

    A page that is `first` begins a list, and the caller must discard all pages before it.
    """

    items: list[Json]
    first: bool


@define
class Pages:
    """A consistent list: a quorum read (no resourceVersion is given), with all pages of one snapshot.

    It is for callers that need only a part of each object, and not all objects at once.
    The list is complete only after the last page.
    If the snapshot expires between two pages (410), the list begins again.
    """

    resource: Resource
    namespace: str | None
    label_selector: str
    size: int | None = None
    """The number of objects per page; `PAGE` unless given."""
    resource_version: str = field(default="", init=False)
    """The resourceVersion of the snapshot, after the first page."""
    _token: str = field(default="", init=False)
    _complete: bool = field(default=False, init=False)

    def next(self) -> Op[Page | None]:
        """Return the next page, or None after the last.

        Repeat requests that fail temporarily.
        Raise `RequestRefusedError` if the apiserver refuses the list.
        """
        if self._complete:
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
                self._complete = not self._token
                return Page(answer.body.get("items") or [], first)
            if answer.status == 410 and self._token:
                self._token = ""
            elif answer.definite and answer.status not in (0, 429):
                raise RequestRefusedError(f"listing {self.resource.plural} of {self.label_selector}", answer)
            yield Sleep(backoff.next((yield Random()), answer.retry_after))


def list_all(
    resource: Resource, namespace: str | None, label_selector: str, *, limit: int | None = None
) -> Op[ListResult]:
    """Return a whole list, as `Pages` reads it: for kinds of which there are few objects.

    With `limit`, only one page of that many objects is read.
    Raise `RequestRefusedError`.
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
